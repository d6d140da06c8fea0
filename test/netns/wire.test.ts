// What crosses an underlay without offloads, as a real wire is: every packet fits its MTU, and every checksum, outer and
// inner, is right, on every rung of the offload ladder.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAMILIES } from "../../pkg/addr/family.ts";
import { RUNGS } from "../../pkg/dataplane/tun/offload.ts";
import { IPPROTO_TCP, IPPROTO_UDP } from "../../pkg/packet/ip.ts";
import { makeWireLike } from "../bench/offloads.ts";
import { readPcap } from "../pcap.ts";
import { capture } from "./capture.ts";
import { DATAGRAMS } from "./datagrams.ts";
import { notRoot, rootTitle } from "./netns.ts";
import { NO_TUNNEL_GSO, openRungLab, type RungLab } from "./rung-lab.ts";
import { transferTcp } from "./tcp.ts";
import { DatagramFlow } from "./udp.ts";
import { readWireFrame, type WireFrame } from "./wire-frame.ts";

const MB = 1_000_000;
const MTU = 1500;
const FLOWS = 16;
const FIRST_DYNAMIC_PORT = 49_152;
const VXLAN_PORT = 8472;

describe.skipIf(notRoot).each(RUNGS)(rootTitle("the wire below the rung %s"), { timeout: 120_000 }, (rung) => {
  let opened: RungLab | undefined;
  beforeAll(async () => {
    opened = await openRungLab(rung);
    if (opened) await makeWireLike([...opened.lab.nodes.map(({ netns }) => netns), opened.kernel.host.netns]);
  });
  afterAll(() => opened?.lab.close());

  const required = (skip: (note: string) => void): RungLab => {
    if (!opened) skip(NO_TUNNEL_GSO);
    return opened as RungLab;
  };

  /** Everything that crossed while `traffic` ran; throws where something is wrong with it. */
  async function recorded(rungLab: RungLab, traffic: () => Promise<void>): Promise<WireFrame[]> {
    const stop = await capture(rungLab.lab, "node1", rungLab.pod(1, 4), rungLab.pod(2, 4));
    await traffic();
    const frames: WireFrame[] = [];
    let number = 0;
    for (const { bytes } of readPcap(await stop())) {
      number++;
      try {
        const frame = readWireFrame(bytes);
        if (frame) frames.push(frame);
      } catch (error) {
        throw new Error(`frame ${number} of ${bytes.length} bytes: ${String(error)}`, { cause: error });
      }
    }
    return frames;
  }

  test.for(FAMILIES)("IPv%i: every packet fits, every checksum is right", async (family, { skip }) => {
    const rungLab = required(skip);
    const { lab } = rungLab;
    const [ours, other, kernel] = [rungLab.pod(1, family), rungLab.pod(2, family), rungLab.kernelPod(family)];
    const frames = await recorded(rungLab, async () => {
      for (const [from, to] of [
        [ours, other],
        [other, ours],
        [ours, kernel],
      ] as const) {
        expect(await transferTcp(from, to, 5 * MB, lab.directory)).toMatchObject({ intact: true });
        const flow = await DatagramFlow.open(from, to, lab.directory);
        await flow.sendRounds();
        expect(await flow.end()).toMatchObject({ datagrams: DATAGRAMS, bad: 0, twice: 0 });
      }
      await ours.netns.run(["ping", "-c", "1", "-s", "4000", other.address]);
    });
    const ofProtocol = (protocol: number): WireFrame[] => frames.filter((frame) => frame.protocol === protocol);
    expect(ofProtocol(IPPROTO_TCP).length).toBeGreaterThan((3 * 5 * MB) / MTU);
    // Fragments of ours have no UDP header but the first.
    expect(ofProtocol(IPPROTO_UDP).length).toBeGreaterThan(3 * DATAGRAMS);
    expect(frames.some((frame) => frame.isFragment)).toBe(true);
    // In IPv4 there are also the mark, and the echoes and knocks by which the agents measure each other.
    const foreign = frames.filter((frame) => frame.outerFamily !== family);
    expect(foreign.filter(({ protocol, tcpPayload }) => protocol === IPPROTO_UDP || tcpPayload > 0)).toEqual([]);
    const longest = Math.max(...frames.map(({ length }) => length));
    expect(longest).toBeLessThanOrEqual(MTU);
    // The pods' MTU, and what VXLAN adds in this family.
    expect(longest).toBeGreaterThanOrEqual(1430 + (family === 4 ? 50 : 70));
  });

  test("the outer source port stands for the flow where the rung allows it, and is one port elsewhere", async ({
    skip,
  }) => {
    const rungLab = required(skip);
    const { lab } = rungLab;
    const [from, to] = [rungLab.pod(1, 4), rungLab.pod(2, 4)];
    const frames = await recorded(rungLab, async () => {
      for (let i = 0; i < FLOWS; i++) await transferTcp(from, to, MB / 10, lab.directory);
    });
    const sent = frames.filter(({ tcpPayload, protocol }) => protocol === IPPROTO_TCP && tcpPayload > 0);
    const ports = new Map<string, Set<number>>();
    for (const { flow, sourcePort } of sent) {
      const known = ports.get(flow) ?? new Set();
      ports.set(flow, known.add(sourcePort));
    }
    expect(ports.size).toBe(FLOWS);
    // Of one flow with data nothing overtakes the rest on another path.
    for (const known of ports.values()) expect(known.size).toBe(1);
    const all = new Set([...ports.values()].flatMap((known) => [...known]));
    if (rung === "tunnel-gso") {
      // Out of 16,384, two flows have the same by chance once in a hundred runs.
      expect(all.size).toBeGreaterThanOrEqual(FLOWS - 2);
      expect(Math.min(...all)).toBeGreaterThanOrEqual(FIRST_DYNAMIC_PORT);
    } else {
      expect(all).toEqual(new Set([VXLAN_PORT]));
    }
  });
});
