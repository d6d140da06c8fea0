import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { conflistText, STANDARD_PLUGINS } from "../../pkg/cni/conflist.ts";
import { EXIT } from "./command.ts";
import { run } from "./run.ts";

let top: string;
let out = "";
let err = "";
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "twillctl-cni-"));
  for (const name of ["twill-cni", ...STANDARD_PLUGINS]) writeFileSync(join(top, name), "", { mode: 0o755 });
  out = err = "";
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

function install(...more: string[]): Promise<number> {
  const dirs = [`--bin-dir=${top}`, `--conf-dir=${join(top, "net.d")}`, `--plugin=${join(top, "twill-cni")}`];
  const terminal = {
    stdout: { write: (text: string) => void (out += text) },
    stderr: { write: (text: string) => void (err += text) },
  };
  return run(["install-cni", ...dirs, ...more], {}, terminal);
}

test("install-cni tells what it wrote, and the second time that it is there", async () => {
  const [link, conflist] = [join(top, "twill"), join(top, "net.d/10-twill.conflist")];
  expect(await install()).toBe(EXIT.ok);
  expect({ out, err }).toEqual({ out: `${link} is written.\n${conflist} is written.\n`, err: "" });
  expect(readlinkSync(link)).toBe(join(top, "twill-cni"));
  expect(readFileSync(conflist, "utf8")).toBe(conflistText());
  out = "";
  expect(await install("--json")).toBe(EXIT.ok);
  expect(JSON.parse(out)).toEqual({ link, conflist, written: [], doubts: [] });
});

test("what another has put there is one sentence and 1, and stays; not with --force", async () => {
  const link = join(top, "twill");
  writeFileSync(link, "theirs");
  expect(await install()).toBe(EXIT.refused);
  expect({ out, err }).toEqual({
    out: "",
    err: `twillctl: ${link} exists and is another one: --force replaces it\n`,
  });
  expect(readFileSync(link, "utf8")).toBe("theirs");
  expect(existsSync(join(top, "net.d"))).toBe(false);
  expect(await install("--force")).toBe(EXIT.ok);
  expect(readdirSync(join(top, "net.d"))).toEqual(["10-twill.conflist"]);
});

test("what keeps pods from their network goes to stderr, with 0", async () => {
  rmSync(join(top, "bridge"));
  expect(await install()).toBe(EXIT.ok);
  expect(err).toMatch(/^twillctl: .* lacks the standard plugins bridge: .*\n$/);
});
