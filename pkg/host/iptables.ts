import type { Family } from "../addr/family.ts";

import { errorCode } from "../base/errors.ts";
import type { Commands } from "./command.ts";
import { HostError, type IptablesVariant, NFT_FAMILY, type NftTables } from "./host.ts";
import { listNftTable } from "./nft.ts";

// One chain of ours in the filter table of iptables, in either variant. The legacy tool creates a table by looking at
// it, and a filter table that exists costs every packet a walk, so nobody is asked before the kernel has said that the
// table is there.

const WAIT = ["-w", "5"]; // seconds to wait for the lock of the legacy variant

/** See Host.iptablesInUse. */
export async function readIptablesInUse(
  commands: Commands,
  family: Family,
  tables?: NftTables,
): Promise<IptablesVariant[]> {
  const variants: IptablesVariant[] = [];
  if (await nftInUse(commands, family, tables)) variants.push("nft");
  if (await hasLegacyTable(commands, family, "filter")) {
    const rules = await listRules(commands, family, "legacy", "filter");
    if (rules.some((line) => line.startsWith("-A ") || /^-P \S+ DROP$/.test(line))) variants.push("legacy");
  }
  return variants;
}

// By nft, since iptables-nft of some versions creates the table by listing it. A table of this name with hooks other
// than iptables' own was made by somebody who writes nft himself: iptables-nft cannot read it and must not add to it.
async function nftInUse(commands: Commands, family: Family, tables: NftTables | undefined): Promise<boolean> {
  const table = await listNftTable(commands, NFT_FAMILY[family], "filter", tables);
  if (!table) return false;
  const foreign = ({ chain }: (typeof table.nftables)[number]): boolean =>
    chain?.hook !== undefined && !["INPUT", "FORWARD", "OUTPUT"].includes(chain.name);
  if (table.nftables.some(foreign)) return false;
  return table.nftables.some(({ chain, rule }) => rule !== undefined || chain?.policy === "drop");
}

/** See Host.setForwardChain. */
export async function writeForwardChain(
  commands: Commands,
  family: Family,
  variant: IptablesVariant,
  chain: string,
  rules: readonly (readonly string[])[] | undefined,
): Promise<boolean> {
  if (!rules && !(await mayHaveChain(commands, family, variant, { table: "filter", chain }))) return false;
  const lines = await listRules(commands, family, variant, "filter");
  const forward = lines.filter((line) => line.startsWith("-A FORWARD "));
  const jumps = forward.filter((line) => jumpsTo(line, chain));
  const present = lines.includes(`-N ${chain}`);
  const restore = ["*filter"];
  if (rules) {
    const want = [`-A FORWARD -j ${chain}`, ...rules.map((rule) => `-A ${chain} ${rule.map(quote).join(" ")}`)];
    const have = [...jumps, ...lines.filter((line) => line.startsWith(`-A ${chain} `))];
    if (present && forward[0] === jumps[0] && sameRules(have, want)) return false;
    // Declaring a chain empties it; all lines up to COMMIT take effect at once.
    restore.push(`:${chain} - [0:0]`, ...jumps.map(deletion), `-I FORWARD 1 -j ${chain}`, ...want.slice(1));
  } else {
    if (!present && jumps.length === 0) return false;
    restore.push(...jumps.map(deletion));
    if (present) restore.push(`-F ${chain}`, `-X ${chain}`);
  }
  await restoreRules(commands, family, variant, restore, `${rules ? "write" : "remove"} the chain ${chain}`);
  return true;
}

/** See Host.removeIptablesChain. */
export async function removeChain(
  commands: Commands,
  family: Family,
  variant: IptablesVariant,
  where: { readonly table: Table; readonly hook: string; readonly chain: string },
  tables?: NftTables,
): Promise<boolean> {
  const { table, hook, chain } = where;
  if (!(await mayHaveChain(commands, family, variant, where, tables))) return false;
  const lines = await listRules(commands, family, variant, table);
  const jumps = lines.filter((line) => line.startsWith(`-A ${hook} `) && jumpsTo(line, chain));
  const present = lines.includes(`-N ${chain}`);
  if (!present && jumps.length === 0) return false;
  const restore = [`*${table}`, ...jumps.map(deletion), ...(present ? [`-F ${chain}`, `-X ${chain}`] : [])];
  await restoreRules(commands, family, variant, restore, `remove the chain ${chain}`);
  return true;
}

/** The filter rules of the legacy variant, empty where nobody has made them: for seeing whether they have changed. */
export async function legacyRules(commands: Commands, family: Family): Promise<string> {
  if (!(await hasLegacyTable(commands, family, "filter"))) return "";
  return (await listRules(commands, family, "legacy", "filter")).join("\n");
}

type Table = "filter" | "nat";

async function listRules(
  commands: Commands,
  family: Family,
  variant: IptablesVariant,
  table: Table,
): Promise<string[]> {
  const tool = toolName(family, variant);
  const { code, stdout, stderr } = await commands.run(tool, [...WAIT, "-t", table, "-S"]);
  if (code !== 0) throw new HostError(`cannot list the rules of ${tool}: ${clean(stderr)}`);
  if (/^# Table .* incompatible/m.test(stdout + stderr)) {
    throw new HostError(`${tool} cannot read the ${table} table, which nft has chains of its own in`);
  }
  return stdout.split("\n").filter((line) => line !== "");
}

async function restoreRules(
  commands: Commands,
  family: Family,
  variant: IptablesVariant,
  lines: readonly string[],
  what: string,
): Promise<void> {
  const tool = `${toolName(family, variant)}-restore`;
  const text = [...lines, "COMMIT", ""].join("\n");
  const { code, stderr } = await commands.run(tool, [...WAIT, "--noflush"], text);
  if (code !== 0) throw new HostError(`cannot ${what}: ${clean(stderr)}`);
}

async function hasLegacyTable(commands: Commands, family: Family, table: Table): Promise<boolean> {
  const path = family === 4 ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names";
  try {
    return (await commands.read(path))?.split("\n").includes(table) ?? false;
  } catch (error) {
    // Its mode is 0440: whoever is not root has no way to know, whatever his capabilities, and cannot take the lock of
    // the legacy tool either.
    if (error instanceof HostError && errorCode(error.cause) === "EACCES") return false;
    throw error;
  }
}

// By nft where that can tell, since iptables-nft cannot read a table that somebody else has written, and may be missing.
async function mayHaveChain(
  commands: Commands,
  family: Family,
  variant: IptablesVariant,
  where: { readonly table: Table; readonly chain: string },
  tables?: NftTables,
): Promise<boolean> {
  if (variant === "legacy") return hasLegacyTable(commands, family, where.table);
  const listed = await listNftTable(commands, NFT_FAMILY[family], where.table, tables);
  return listed?.nftables.some(({ chain }) => chain?.name === where.chain) ?? false;
}

function toolName(family: Family, variant: IptablesVariant): string {
  return `${family === 4 ? "iptables" : "ip6tables"}-${variant}`;
}

function jumpsTo(line: string, chain: string): boolean {
  const words = splitWords(line);
  return words.some((word, i) => (word === "-j" || word === "-g") && words[i + 1] === chain);
}

function deletion(line: string): string {
  return line.replace(/^-A/, "-D");
}

// Word by word, since what iptables puts in quotes has changed between versions.
function sameRules(have: readonly string[], want: readonly string[]): boolean {
  const key = (line: string): string => JSON.stringify(splitWords(line));
  return have.length === want.length && have.every((line, i) => key(line) === key(want[i] ?? ""));
}

function splitWords(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g)].map(([word, quoted]) =>
    quoted === undefined ? word : quoted.replaceAll(/\\(.)/g, "$1"),
  );
}

function quote(word: string): string {
  return /^[\w./:,!=-]+$/.test(word) ? word : `"${word.replaceAll(/["\\]/g, "\\$&")}"`;
}

function clean(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "" && !/^Try |^Error occurred/.test(line));
  return lines.join("; ").replace(/^ip6?tables\S* v\S+ \(\w+\): /, "");
}
