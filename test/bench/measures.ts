import type { Figures } from "./figures.ts";
import { measureLoadedRtt, measureRtt } from "./measure/rtt.ts";
import { measureTcp, measureTcpWithCost } from "./measure/tcp.ts";
import { measureUdp } from "./measure/udp.ts";
import type { Testbed } from "./testbed/testbed.ts";

export type MeasureId = "tcp1" | "tcp1Reverse" | "tcp4" | "tcp4Reverse" | "udp64" | "rtt" | "rttLoaded";

export interface Measure {
  readonly id: MeasureId;
  readonly title: string;
  /** Whether it is taken on the underlay without offloads too. */
  readonly wireLike: boolean;
  /** How long it takes, in seconds, for measurements of `seconds`. */
  estimate(seconds: number): number;
  /** `seconds` of traffic; `directory` takes logs. */
  take(testbed: Testbed, seconds: number, directory: string): Promise<Figures>;
}

// What starting and ending the programs adds.
const IPERF3_S = 0.3;
const BLASTER_S = 1;
const PING_S = 0.1;

/** Everything that is measured of a configuration in a round. */
export const MEASURES: readonly Measure[] = [
  {
    id: "tcp1",
    title: "TCP, 1 stream →",
    wireLike: true,
    estimate: (seconds) => seconds + IPERF3_S,
    take: (testbed, seconds, directory) =>
      measureTcpWithCost(testbed, { seconds, directory, streams: 1, reverse: false }),
  },
  {
    id: "tcp1Reverse",
    title: "TCP, 1 stream ←",
    wireLike: true,
    estimate: (seconds) => seconds + IPERF3_S,
    take: async (testbed, seconds, directory) => ({
      tcp1Reverse: await measureTcp(testbed, { seconds, directory, streams: 1, reverse: true }),
    }),
  },
  {
    id: "tcp4",
    title: "TCP, 4 streams →",
    wireLike: true,
    estimate: (seconds) => seconds + IPERF3_S,
    take: async (testbed, seconds, directory) => ({
      tcp4: await measureTcp(testbed, { seconds, directory, streams: 4, reverse: false }),
    }),
  },
  {
    id: "tcp4Reverse",
    title: "TCP, 4 streams ←",
    wireLike: false,
    estimate: (seconds) => seconds + IPERF3_S,
    take: async (testbed, seconds, directory) => ({
      tcp4Reverse: await measureTcp(testbed, { seconds, directory, streams: 4, reverse: true }),
    }),
  },
  {
    id: "udp64",
    title: "UDP, 64 bytes →",
    wireLike: true,
    estimate: (seconds) => seconds + BLASTER_S,
    take: (testbed, seconds, directory) => measureUdp(testbed, seconds, directory),
  },
  {
    id: "rtt",
    title: "round trips, idle",
    wireLike: false,
    estimate: (seconds) => seconds / 2 + PING_S,
    take: (testbed, seconds) => measureRtt(testbed, seconds / 2),
  },
  {
    id: "rttLoaded",
    title: "round trips beside TCP",
    wireLike: false,
    estimate: (seconds) => seconds + IPERF3_S,
    take: (testbed, seconds, directory) =>
      measureLoadedRtt(testbed, { seconds, directory, streams: 1, reverse: false }),
  },
];
