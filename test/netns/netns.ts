// What every test that makes network namespaces begins with.
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
export const TOP = join(import.meta.dirname, "../..");

/** Whether these tests must be skipped, for `skipIf`. */
export const notRoot = process.geteuid?.() !== 0;

/** A title that says why its tests were skipped. */
export function rootTitle(title: string): string {
  return notRoot ? `${title} (skipped: network namespaces need root here)` : title;
}

/**
 * What the machine's own network shows of a lab: nothing, so it is the same before, during and after one. Names that
 * other tests use at the same time are left out.
 */
export async function machine(): Promise<{ links: string[]; netns: string[]; rules: string }> {
  const { stdout: links } = await run("ip", ["-json", "link"]);
  const { stdout: rules } = await run("nft", ["list", "ruleset"]);
  const netns = existsSync("/run/netns") ? readdirSync("/run/netns") : [];
  const ofLab = /^(br0|cni0|twill|flannel|(node|plain|pod)\d)/;
  return {
    links: (JSON.parse(links) as { ifname: string }[]).map((link) => link.ifname).filter((name) => ofLab.test(name)),
    netns: netns.filter((name) => ofLab.test(name)),
    rules,
  };
}
