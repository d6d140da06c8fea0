// What reads text and packets that others wrote, each with what must be true whatever they wrote.

import { isDeepStrictEqual } from "node:util";
import { containsAddr } from "../../pkg/addr/prefix.ts";
import { FAMILIES } from "../../pkg/addr/family.ts";
import { ConfigError } from "../../pkg/base/errors.ts";
import { CniError } from "../../pkg/cni/error.ts";
import { parseNetConf } from "../../pkg/cni/netconf.ts";
import { COUNTER, COUNTERS } from "../../pkg/dataplane/tun/counters.ts";
import { LoopMemory } from "../../pkg/dataplane/tun/loop-memory.ts";
import { Receive } from "../../pkg/dataplane/tun/receive.ts";
import { formatLeaseKey, parseLeaseKey } from "../../pkg/lease/lease-key.ts";
import { decodeLeaseValue, encodeLeaseValue } from "../../pkg/lease/lease-value.ts";
import { VNET_HDR_LEN } from "../../pkg/packet/vnet.ts";
import { parseNetworkConfig } from "../../pkg/subnet/network-config.ts";
import { formatSubnetEnv, parseSubnetEnv } from "../../pkg/subnetenv/subnet-env.ts";
import { MemoryTun } from "../../pkg/tun/memory-tun.ts";
import { MemoryUnderlay } from "../../pkg/underlay/memory-bind.ts";
import { addr } from "../literals.ts";
import { referenceDecap } from "./reference-decap.ts";
import { fuzzTable } from "./table.ts";

/** Takes any input; throws an Error that says what is not as it must be. */
export type Target = (input: Uint8Array) => void;

// A sentence for people may quote what it is about, but not hand on whatever length it has.
const LONGEST_SENTENCE = 1000;

/** By name, which is also the folder of the corpus. */
export const TARGETS: Readonly<Record<string, () => Target>> = {
  packet: packetTarget,
  "lease-key": () => (input) => {
    const text = textOf(input);
    const parsed = parseLeaseKey(text);
    if (parsed?.value === undefined) return short(parsed?.malformed ?? "");
    // Flannel's form may write an address in several ways; what we write is read as the same.
    must(parseLeaseKey(formatLeaseKey(parsed.value))?.value, parsed.value);
  },
  "lease-value": () => (input) => {
    const parsed = decodeLeaseValue(textOf(input));
    if (parsed.value === undefined) return short(parsed.malformed);
    must(decodeLeaseValue(encodeLeaseValue(parsed.value)).value, parsed.value);
  },
  "network-config": () => (input) => {
    const config = unlessRefused(() => parseNetworkConfig(textOf(input)), ConfigError);
    if (!config) return;
    for (const family of FAMILIES) {
      const [network, min, max] = [config.network[family], config.subnetMin[family], config.subnetMax[family]];
      if (!network) continue;
      if (!min || !max || min.value > max.value) throw new Error("the range of subnets is empty");
      if (!containsAddr(network, min) || !containsAddr(network, max))
        throw new Error("a subnet lies outside the network");
    }
  },
  netconf: () => (input) => {
    const conf = unlessRefused(() => parseNetConf(textOf(input)), CniError);
    if (!conf) return;
    for (const path of [conf.subnetFile, conf.dataDir, conf.runDir]) {
      if (!path.startsWith("/") || path.includes("\0")) throw new Error(`${JSON.stringify(path)} is no path`);
    }
    if (/[/\0]|^\./.test(conf.name)) throw new Error(`${JSON.stringify(conf.name)} is not fit for a directory`);
  },
  "subnet-env": () => (input) => {
    const env = unlessRefused(() => parseSubnetEnv(textOf(input)), ConfigError);
    if (env) must(parseSubnetEnv(formatSubnetEnv(env)), env);
  },
};

// The first two bytes choose the outer source and the outer traffic class; the rest is the datagram. Compared with the
// reference: delivered bytes, and which counter moved.
function packetTarget(): Target {
  const nodes = [false, true].map((strict) => {
    const table = fuzzTable(strict);
    const memory = new LoopMemory();
    const tun = new MemoryTun(memory.arena);
    const bind = new MemoryUnderlay().bind(memory.arena, addr("172.30.77.1"), 8472);
    const receive = new Receive(memory.arena, tun, bind, memory.table, memory.counters);
    memory.table.load(table);
    return { table, memory, tun, bind, receive };
  });
  return (input) => {
    const [choice = 0, tos = 0] = input;
    const from = addr(choice & 8 ? `fd77::${choice & 7}` : `172.30.77.${choice & 7}`);
    const datagram = { from, tos, bytes: Uint8Array.from(input.subarray(2, 65_000)) };
    for (const { table, memory, tun, bind, receive } of nodes) {
      const before = COUNTERS.map((name) => memory.counters.value(COUNTER[name]));
      const verdict = referenceDecap(table, datagram);
      bind.waiting.push(datagram);
      receive.turn();
      const [frame] = tun.written.splice(0);
      const moved = COUNTERS.filter(
        (name, i) => memory.counters.value(COUNTER[name]) !== before[i] && name !== "rx_bytes",
      );
      if ("drop" in verdict) {
        must(moved, [verdict.drop]);
        if (frame) throw new Error("a packet was delivered that must not be");
      } else {
        must(moved, verdict.foreign ? ["rx_packets", "rx_foreign_accepted"] : ["rx_packets"]);
        must(
          frame && Buffer.from(frame.subarray(VNET_HDR_LEN)).toString("hex"),
          Buffer.from(verdict.deliver).toString("hex"),
        );
      }
    }
  };
}

function textOf(input: Uint8Array): string {
  return Buffer.from(input).toString("utf8");
}

function unlessRefused<T>(read: () => T, refusal: new (...args: never[]) => Error): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof refusal)) throw error;
    return undefined;
  }
}

function short(sentence: string): void {
  if (sentence.length > LONGEST_SENTENCE) throw new Error(`a sentence of ${sentence.length} characters`);
}

function must(have: unknown, want: unknown): void {
  if (isDeepStrictEqual(have, want)) return;
  const text = (value: unknown): string =>
    JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? String(part) : part));
  throw new Error(`${text(have)} instead of ${text(want)}`);
}
