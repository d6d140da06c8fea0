// What pods do during a chaos run: every pod pings the next one and talks to it over one TCP connection that must outlive
// everything, and one pair has a stream of UDP.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Daemon } from "../../pkg/lab/daemon.ts";
import type { Lab } from "../../pkg/lab/lab.ts";
import type { Pod } from "../../pkg/lab/pod.ts";
import { type Conversation, converse, type Talk } from "../netns/conversation.ts";

const PING_S = 0.1;
const UDP_RATE = "2M";
const UDP_PORT = "5202";
const END_MS = 20_000;

export interface Flow {
  readonly from: string;
  readonly to: string;
}

export interface PingFlow extends Flow {
  readonly sent: number;
  readonly lost: number;
  /** The longest row of packets without an answer, in milliseconds. */
  readonly longestGapMs: number;
}

export interface LoadReport {
  readonly pings: readonly PingFlow[];
  readonly talks: readonly (Flow & { readonly talk: Talk | undefined; readonly error: string | undefined })[];
  /** Of UDP: datagrams sent and lost, or why iperf3 cannot say. */
  readonly udp: { readonly sent: number; readonly lost: number } | { readonly error: string };
}

interface Pair {
  readonly from: Pod;
  readonly to: Pod;
}

export class Load {
  readonly #pings: (Pair & { readonly daemon: Daemon })[] = [];
  readonly #talks: (Pair & { readonly conversation: Conversation })[] = [];
  readonly #udp: { readonly server: Daemon; readonly client: Daemon };

  private constructor(udp: { readonly server: Daemon; readonly client: Daemon }) {
    this.#udp = udp;
  }

  /** Starts it all, for `seconds` of UDP. */
  static async start(lab: Lab, seconds: number): Promise<Load> {
    const { pods, directory } = lab;
    const pairs = pods.map((from, i): Pair => ({ from, to: pods[(i + 1) % pods.length] as Pod }));
    const [first] = pairs;
    if (!first) throw new Error("the lab has no pods");
    const { from, to } = first;
    const server = await to.netns.start(["iperf3", "--server", "--one-off", "--port", UDP_PORT], {
      name: `iperf3 in ${to.name}`,
      log: join(directory, "udp-server.log"),
    });
    const argv = ["iperf3", "--client", to.address, "--port", UDP_PORT, "--udp", "--bitrate", UDP_RATE, "--json"];
    const client = await from.netns.start([...argv, "--length", "1200", "--time", String(seconds)], {
      name: `iperf3 in ${from.name}`,
      log: join(directory, "udp-client.log"),
    });
    const load = new Load({ server, client });
    for (const pair of pairs) {
      const daemon = await pair.from.netns.start(["ping", "-n", "-i", String(PING_S), pair.to.address], {
        name: `ping in ${pair.from.name}`,
        log: join(directory, `ping-${pair.from.name}.log`),
      });
      load.#pings.push({ ...pair, daemon });
      load.#talks.push({ ...pair, conversation: await converse(pair.from, pair.to, directory) });
    }
    return load;
  }

  /** Ends it and tells how it was. */
  async end(): Promise<LoadReport> {
    const talks = await Promise.all(
      this.#talks.map(async ({ from, to, conversation }) => {
        const flow = { from: from.name, to: to.name };
        try {
          return { ...flow, talk: await conversation.end(), error: undefined };
        } catch (error) {
          return { ...flow, talk: undefined, error: String(error) };
        }
      }),
    );
    // ping sums up on SIGINT alone.
    for (const { daemon } of this.#pings) daemon.signal("SIGINT");
    await Promise.all(this.#pings.map(({ daemon }) => daemon.ended));
    const pings = this.#pings.map(({ from, to, daemon }) => ({
      from: from.name,
      to: to.name,
      ...readPings(readFileSync(daemon.log, "utf8")),
    }));
    await this.#udp.client.stop(END_MS);
    await this.#udp.server.stop();
    return { pings, talks, udp: readUdp(readFileSync(this.#udp.client.log, "utf8")) };
  }
}

/** What ping(8) printed, one line for each answer; the gap is counted in packets that had none. */
export function readPings(text: string): Omit<PingFlow, "from" | "to"> {
  const answered = [...text.matchAll(/ icmp_seq=(\d+) .*time=/g)].map((match) => Number(match[1]));
  const sent = Number(/^(\d+) packets transmitted/m.exec(text)?.[1] ?? Number.NaN);
  // ping counts 16 bits and begins again (RFC 792).
  let last = 0;
  let most = 0;
  for (const seq of answered) {
    const step = (seq - (last & 0xffff) + 0x10000) & 0xffff;
    if (step === 0 || step >= 0x8000) continue; // twice, or overtaken by a later one
    most = Math.max(most, step - 1);
    last += step;
  }
  most = Math.max(most, sent - last);
  return { sent, lost: sent - answered.length, longestGapMs: Math.round(most * PING_S * 1000) };
}

function readUdp(text: string): LoadReport["udp"] {
  try {
    const { end, error } = JSON.parse(text) as {
      end?: { sum?: { packets?: number; lost_packets?: number } };
      error?: string;
    };
    const { packets: sent, lost_packets: lost } = end?.sum ?? {};
    return sent === undefined || lost === undefined ? { error: error ?? "iperf3 tells no sum" } : { sent, lost };
  } catch {
    return { error: "iperf3 did not come to its end" };
  }
}
