import { tcpThroughput } from "../../../pkg/lab/throughput.ts";
import type { Figures } from "../figures.ts";
import type { Testbed } from "../testbed/testbed.ts";
import { elapsed, readCpuTime } from "./cpu-time.ts";
import { readMemory } from "./memory.ts";

export interface TcpOptions {
  readonly seconds: number;
  readonly streams: number;
  readonly reverse: boolean;
  /** Takes the log of iperf3's server. */
  readonly directory: string;
}

/** TCP throughput in Gbit/s. */
export async function measureTcp({ client, server }: Testbed, options: TcpOptions): Promise<number> {
  return (await tcpThroughput(client, server, options)) / 1e9;
}

/** TCP throughput with what it cost: CPU seconds per Gbit, iperf3's own included in the machine's, and memory after it. */
export async function measureTcpWithCost(testbed: Testbed, options: TcpOptions): Promise<Figures> {
  const pids = testbed.agents.map(({ pid }) => pid);
  const before = readCpuTime(pids);
  const rate = await measureTcp(testbed, options);
  const spent = elapsed(before, readCpuTime(pids));
  const gigabits = rate * options.seconds;
  return {
    tcp1: rate,
    systemCpu: spent.system / gigabits,
    ...(pids.length === 0 ? {} : { agentCpu: spent.agents / gigabits, ...readMemory(pids) }),
  };
}
