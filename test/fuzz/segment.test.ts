// Cutting super-packets, against an obvious reference: random TCP and UDP super-packets of both families, with options,
// extension headers and all flags, are cut into packets whose every byte must be the reference's.

import { describe, expect, test } from "vitest";
import { type Random, seededRandom } from "../../pkg/base/backoff.ts";
import { Segmenter } from "../../pkg/dataplane/tun/segment.ts";
import { put16le } from "../../pkg/packet/bytes.ts";
import { memorySum } from "../../pkg/packet/checksum-wasm.ts";
import {
  putVnet,
  VNET_GSO_ECN,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_UDP,
  VNET_GSO_UDP_L4,
  VNET_HDR_LEN,
  VNET_NEEDS_CSUM,
} from "../../pkg/packet/vnet.ts";
import { Arena } from "../../pkg/sys/arena.ts";
import { naiveSum } from "../naive-sum.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);

interface SuperPacket {
  readonly family: 4 | 6;
  readonly tcp: boolean;
  readonly ihl: number;
  readonly headers: number;
  readonly size: number;
  readonly bytes: Uint8Array;
}

function makeSuperPacket(random: Random): SuperPacket {
  const int = (from: number, to: number): number => from + Math.floor(random() * (to - from + 1));
  const family = int(0, 1) === 0 ? 4 : 6;
  const tcp = int(0, 2) > 0;
  // IPv4 options in units of 4; an IPv6 destination options header of 8 or 16.
  const ihl = family === 4 ? 20 + 4 * (int(0, 3) === 0 ? int(1, 10) : 0) : 40 + (int(0, 3) === 0 ? 8 * int(1, 2) : 0);
  const header = tcp ? 20 + 4 * (int(0, 1) === 0 ? int(0, 10) : 3) : 8;
  const headers = ihl + header;
  const size = int(0, 9) === 0 ? int(1, 100) : int(500, 8900);
  const payload = Math.min(int(1, 60) * size - int(0, size - 1), 65535 - headers - 40);
  const bytes = Uint8Array.from({ length: headers + Math.max(1, payload) }, () => int(0, 255));
  const view = new DataView(bytes.buffer);
  const protocol = tcp ? 6 : 17;
  if (family === 4) {
    bytes[0] = 0x40 | (ihl / 4);
    view.setUint16(2, bytes.length);
    view.setUint16(6, int(0, 1) * 0x4000);
    bytes[9] = protocol;
  } else {
    bytes[0] = 0x60 | int(0, 15);
    view.setUint16(4, bytes.length - 40);
    bytes[6] = ihl === 40 ? protocol : 60;
    if (ihl > 40) bytes.set([protocol, (ihl - 40) / 8 - 1], 40);
  }
  if (tcp) bytes[ihl + 12] = (header / 4) << 4;
  else view.setUint16(ihl + 4, bytes.length - ihl);
  return { family, tcp, ihl, headers, size, bytes };
}

// As RFC 9293 and RFC 8200 would have a sender do it, one packet at a time.
function reference(packet: SuperPacket): Uint8Array[] {
  const { family, tcp, ihl, headers, size, bytes } = packet;
  const segments: Uint8Array[] = [];
  const original = new DataView(bytes.buffer);
  for (let at = headers; at < bytes.length; at += size) {
    const index = segments.length;
    const last = at + size >= bytes.length;
    const segment = Uint8Array.from([...bytes.slice(0, headers), ...bytes.slice(at, at + size)]);
    const view = new DataView(segment.buffer);
    if (family === 4) {
      view.setUint16(2, segment.length);
      view.setUint16(4, (original.getUint16(4) + index) % 65536);
      view.setUint16(10, 0);
      view.setUint16(10, naiveSum(segment, 0, ihl) ^ 0xffff, true);
    } else {
      view.setUint16(4, segment.length - 40);
    }
    if (tcp) {
      view.setUint32(ihl + 4, (original.getUint32(ihl + 4) + (at - headers)) % 2 ** 32);
      let flags = original.getUint8(ihl + 13);
      if (!last) flags &= 0b1111_0110;
      if (index > 0) flags &= 0b0111_1111;
      view.setUint8(ihl + 13, flags);
    } else {
      view.setUint16(ihl + 4, segment.length - ihl);
    }
    const field = ihl + (tcp ? 16 : 6);
    view.setUint16(field, 0);
    const addresses = family === 4 ? segment.slice(12, 20) : segment.slice(8, 40);
    const length = segment.length - ihl;
    const pseudo = Uint8Array.from([...addresses, 0, 0, length >> 8, length & 255, 0, 0, 0, tcp ? 6 : 17]);
    const sum = naiveSum(segment, ihl, segment.length, naiveSum(pseudo, 0, pseudo.length)) ^ 0xffff;
    view.setUint16(field, sum === 0 && !tcp ? 0xffff : sum, true);
    segments.push(segment);
  }
  return segments;
}

const arena = Arena.create(1024 * 1024);
const segmenter = new Segmenter(arena, memorySum(arena.memory));
const ip = arena.alloc(70_000) + 64;
const slot = arena.alloc(512);

function begin(packet: SuperPacket, type: number, size = packet.size): boolean {
  const vnet = ip - VNET_HDR_LEN;
  const offset = packet.tcp ? 16 : 6;
  arena.bytes.set(packet.bytes, ip);
  putVnet(arena.bytes, vnet, VNET_NEEDS_CSUM, type, packet.headers, size, packet.ihl, offset);
  put16le(arena.bytes, ip + packet.ihl + offset, 0x1234); // what the kernel leaves there does not matter
  return segmenter.begin(vnet, ip, ip + packet.bytes.length);
}

const typeOf = ({ tcp, family }: SuperPacket): number =>
  !tcp ? VNET_GSO_UDP_L4 : family === 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;

function cut(): Uint8Array[] {
  const segments: Uint8Array[] = [];
  for (let length = segmenter.next(slot); length > 0; length = segmenter.next(slot)) {
    const { headers, payloadAt, payloadLength } = segmenter;
    expect(headers + payloadLength).toBe(length);
    const parts = [
      arena.bytes.subarray(slot, slot + headers),
      arena.bytes.subarray(payloadAt, payloadAt + payloadLength),
    ];
    segments.push(Uint8Array.from(Buffer.concat(parts)));
  }
  return segments;
}

describe("Segmenter", () => {
  test("cuts as the reference does", () => {
    const random = seededRandom(SEED);
    for (let i = 0; i < 1000; i++) {
      const packet = makeSuperPacket(random);
      const ecn = packet.tcp && random() < 0.5 ? VNET_GSO_ECN : 0;
      expect(begin(packet, typeOf(packet) | ecn)).toBe(true);
      const segments = cut();
      const wanted = reference(packet);
      const same =
        segments.length === wanted.length && segments.every((s, k) => Buffer.compare(s, wanted[k] ?? s) === 0);
      if (!same) expect(segments, `seed ${SEED}, super-packet ${i}`).toEqual(wanted);
    }
  });

  test("refuses what it was not asked for and what makes no sense", () => {
    const random = seededRandom(SEED);
    for (let i = 0; i < 500; i++) {
      const packet = makeSuperPacket(random);
      expect(begin(packet, VNET_GSO_UDP)).toBe(false);
      expect(begin(packet, packet.family === 4 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4)).toBe(false);
      expect(begin(packet, typeOf(packet), 0)).toBe(false);
      expect(begin({ ...packet, ihl: 16 }, typeOf(packet))).toBe(false);
      expect(begin({ ...packet, ihl: packet.bytes.length }, typeOf(packet))).toBe(false);
    }
  });
});
