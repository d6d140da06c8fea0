import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Family } from "../addr/family.ts";

import type { CommandResult, Commands } from "./command.ts";
import { type ForwardChain, HostError, type NftChain, type NftFamily, type NftTables } from "./host.ts";

// Whole tables of nftables through nft's JSON interface, libnftables-json(5).

// Masquerading and the check of senders; neither hooks into forwarding.
const OURS = /^ip6? twill(-sender)?$/;

const MOST_ARGUMENTS = 1024 * 1024;

interface NftOutput {
  readonly nftables: readonly {
    readonly table?: { readonly family: string; readonly name: string; readonly flags?: unknown };
    readonly chain?: {
      readonly family: string;
      readonly table: string;
      readonly name: string;
      readonly type?: string;
      readonly hook?: string;
      readonly prio?: number;
      readonly policy?: string;
    };
    readonly rule?: { readonly chain: string; readonly expr: readonly object[] };
  }[];
}

export async function writeNftTable(
  commands: Commands,
  family: NftFamily,
  name: string,
  chains: readonly NftChain[] | undefined,
): Promise<void> {
  const table = { table: { family, name } };
  // Deleting a table that is not there is an error in older kernels, so it is made first; the whole is one transaction.
  const batch: object[] = [{ add: table }, { delete: table }];
  if (chains) batch.push({ add: table });
  for (const chain of chains ?? []) {
    const { name: chainName, type, hook, priority: prio, policy = "accept" } = chain;
    const base = hook && { type, hook, prio, policy };
    batch.push({ add: { chain: { family, table: name, name: chainName, ...base } } });
    for (const expr of chain.rules) batch.push({ add: { rule: { family, table: name, chain: chainName, expr } } });
  }
  const { code, stderr } = await runBatch(commands, batch);
  if (code !== 0) {
    throw new HostError(`cannot ${chains ? "write" : "delete"} the nftables table ${family} ${name}: ${clean(stderr)}`);
  }
}

/** See Host.addNftRule. */
export async function addNftRule(
  commands: Commands,
  family: NftFamily,
  table: string,
  chain: string,
  expr: readonly object[],
): Promise<void> {
  const { code, stderr } = await runBatch(commands, [{ add: { rule: { family, table, chain, expr } } }]);
  if (code !== 0) throw new HostError(`cannot add a rule to ${family} ${table} ${chain} of nftables: ${clean(stderr)}`);
}

// As arguments, which nft joins with spaces: `nft -f -` opens /dev/stdin, and that fails when it is a socket, as the
// standard input of a child of Node is. One argument for each command, since the kernel allows 128 KiB for one and 2 MiB
// for all; what is longer goes through a file.
async function runBatch(commands: Commands, batch: readonly object[]): Promise<CommandResult> {
  const words = batch.map((command, i) => JSON.stringify(command) + (i < batch.length - 1 ? "," : ""));
  const text = ['{"nftables":[', ...words, "]}"];
  if (words.reduce((sum, word) => sum + word.length, 0) < MOST_ARGUMENTS) return commands.run("nft", ["-j", ...text]);
  const dir = await mkdtemp(join(tmpdir(), "twill-nft-"));
  try {
    const file = join(dir, "batch.json");
    await writeFile(file, text.join("\n"));
    return await commands.run("nft", ["-j", "-f", file]);
  } finally {
    await rm(dir, { recursive: true });
  }
}

export async function readNftTable(
  commands: Commands,
  family: NftFamily,
  name: string,
): Promise<readonly NftChain[] | undefined> {
  const output = await listNftTable(commands, family, name);
  if (!output) return undefined;
  if (output.nftables.some(({ table }) => table?.flags !== undefined)) return [];
  const chains = new Map<string, NftChain & { readonly rules: (readonly object[])[] }>();
  for (const { chain } of output.nftables) {
    if (!chain) continue;
    const { name, type, hook, prio = 0, policy } = chain;
    const base = { type, hook, priority: prio, ...(policy === "drop" && { policy }) } as Partial<NftChain>;
    chains.set(name, { name, ...(hook !== undefined && base), rules: [] });
  }
  for (const { rule } of output.nftables) if (rule) chains.get(rule.chain)?.rules.push(rule.expr);
  return [...chains.values()];
}

/** See Host.nftTables. As text, which shows no flags: see listNftTable. */
export async function readNftTables(commands: Commands): Promise<NftTables> {
  const { code, stdout, stderr } = await commands.run("nft", ["list", "tables"]);
  if (code !== 0) throw new HostError(`cannot list the tables of nftables: ${clean(stderr)}`);
  return new Set([...stdout.matchAll(/^table (\S+ \S+)$/gm)].map(([, table = ""]) => table));
}

/** See Host.foreignForwardChains. */
export async function readForwardChains(
  commands: Commands,
  family: Family,
  tables?: NftTables,
): Promise<ForwardChain[]> {
  const hooked = family === 4 ? ["ip", "inet"] : ["ip6", "inet"];
  const mayHook = (table: string): boolean => hooked.includes(table.split(" ")[0] ?? "") && !OURS.test(table);
  if (tables && ![...tables].some(mayHook)) return [];
  const { code, stdout, stderr } = await commands.run("nft", ["-j", "list", "chains"]);
  if (code !== 0) throw new HostError(`cannot list the chains of nftables: ${clean(stderr)}`);
  const found: ForwardChain[] = [];
  for (const { chain } of (JSON.parse(stdout) as NftOutput).nftables) {
    if (chain?.hook !== "forward" || !hooked.includes(chain.family)) continue;
    // iptables' chains bear the names of its tables and hooks: filter, mangle, security; FORWARD.
    if (chain.family !== "inet" && chain.name === "FORWARD") continue;
    const name = `${chain.family} ${chain.table} ${chain.name}`;
    if (chain.policy !== "drop") found.push({ name, policy: "accept" });
    else {
      const table = await listNftTable(commands, chain.family, chain.table);
      found.push({ name, policy: "drop", text: JSON.stringify(table ?? {}) });
    }
  }
  return found;
}

/** A table as nft lists it, undefined when there is none, as `tables` may have said already. */
export async function listNftTable(
  commands: Commands,
  family: string,
  name: string,
  tables?: NftTables,
): Promise<NftOutput | undefined> {
  if (tables && !tables.has(`${family} ${name}`)) return undefined;
  const list = ["list", "table", family, name];
  let stderr = "";
  try {
    const result = await commands.run("nft", ["-j", ...list]);
    if (result.code === 0) return JSON.parse(result.stdout) as NftOutput;
    stderr = result.stderr;
  } catch (error) {
    // nft 1.0.6 has no right string for the flags of a table: it says another, ends its output there, or dies. Of a table
    // that is dormant nothing is in force.
    const { stdout } = await commands.run("nft", list);
    if (/^\tflags dormant$/m.test(stdout)) return { nftables: [] };
    throw error;
  }
  if (stderr.includes("No such file or directory")) return undefined;
  throw new HostError(`cannot read the nftables table ${family} ${name}: ${clean(stderr)}`);
}

// nft says where in its input the error lies and repeats that input: the reason is what people need.
function clean(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => /Error: |not permitted/.test(line));
  return (lines.length > 0 ? lines : [stderr]).map((line) => line.replace(/^.*Error: /, "").trim()).join("; ");
}
