import type { Netns } from "../../pkg/lab/netns.ts";

/** A counter of the namespace's kernel by the name that nstat(8) gives it ("TcpInCsumErrors"), since it was made. */
export async function snmpCounter(netns: Netns, name: string): Promise<number> {
  const { stdout } = await netns.run(["nstat", "-asz", "--json", name]);
  const value = (JSON.parse(stdout) as { kernel: Readonly<Record<string, number>> }).kernel[name];
  if (value === undefined) throw new Error(`nstat knows no counter ${name}`);
  return value;
}
