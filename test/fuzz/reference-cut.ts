// What the kernel makes of a frame written to a TUN device: the IP packets that its virtio-net header asks for, in the
// plainest way (virtio 1.3 section 5.1.6; RFC 9293, RFC 768, RFC 8200). Nothing of pkg/packet is used, so that one
// mistake cannot hide in both.

import { naiveSum } from "../naive-sum.ts";

const VNET = 10;
const NEEDS_CSUM = 1;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const GSO_UDP_L4 = 5;

/** The packets of the frame. Throws an Error that names what the kernel would refuse or carry wrongly. */
export function referenceCut(frame: Uint8Array): Uint8Array[] {
  const view = new DataView(frame.slice().buffer);
  const flags = view.getUint8(0);
  const type = view.getUint8(1);
  const packet = frame.slice(VNET);
  if (flags === 0) {
    if (!frame.subarray(0, VNET).every((byte) => byte === 0)) throw new Error("a header without flags says something");
    return [packet];
  }
  if (flags !== NEEDS_CSUM) throw new Error(`flags ${flags}`);
  const headers = view.getUint16(2, true);
  const size = view.getUint16(4, true);
  const start = view.getUint16(6, true);
  const field = start + view.getUint16(8, true);
  const family = (packet[0] ?? 0) >> 4;
  const protocol = field - start === 16 ? 6 : 17;
  expectHeaders(packet, family, protocol, start, headers);
  if (type === 0) {
    if (size !== 0) throw new Error("a size to cut at, but no type");
    return [finished(packet, family, protocol, start)];
  }
  if (type !== (protocol === 17 ? GSO_UDP_L4 : family === 4 ? GSO_TCPV4 : GSO_TCPV6)) throw new Error(`type ${type}`);
  if (size === 0 || packet.length - headers <= size) throw new Error("nothing to cut");
  if (Math.ceil((packet.length - headers) / size) > 64) throw new Error("more than 64 segments");
  const udpLength = new DataView(packet.buffer).getUint16(start + 4);
  if (protocol === 17 && udpLength !== packet.length - start) throw new Error("UDP length");
  return cut(packet, family, protocol, start, headers, size);
}

// That the super-packet's own fields are right: they are what the kernel's stack sees before it cuts.
function expectHeaders(packet: Uint8Array, family: number, protocol: number, start: number, headers: number): void {
  const view = new DataView(packet.slice().buffer);
  const length = family === 4 ? view.getUint16(2) : view.getUint16(4) + 40;
  if (length !== packet.length) throw new Error(`IP says ${length} bytes of ${packet.length}`);
  if (family === 4 && naiveSum(packet, 0, (view.getUint8(0) % 16) * 4) !== 0xffff) throw new Error("IPv4 checksum");
  const header = protocol === 6 ? Math.floor(view.getUint8(start + 12) / 16) * 4 : 8;
  if (headers !== start + header) throw new Error(`hdr_len ${headers}, but headers end at ${start + header}`);
  const field = view.getUint16(start + (protocol === 6 ? 16 : 6), true);
  if (field !== pseudo(packet, family, protocol, start))
    throw new Error("the checksum field is not the pseudo-header's");
}

function cut(
  packet: Uint8Array,
  family: number,
  protocol: number,
  start: number,
  headers: number,
  size: number,
): Uint8Array[] {
  const segments: Uint8Array[] = [];
  const original = new DataView(packet.buffer);
  for (let at = headers; at < packet.length; at += size) {
    const bytes = new Uint8Array(Buffer.concat([packet.subarray(0, headers), packet.subarray(at, at + size)]));
    const view = new DataView(bytes.buffer);
    const last = at + size >= packet.length;
    if (family === 4) {
      view.setUint16(2, bytes.length);
      view.setUint16(4, (original.getUint16(4) + segments.length) % 65536);
      view.setUint16(10, 0);
      view.setUint16(10, naiveSum(bytes, 0, start) ^ 0xffff, true);
    } else {
      view.setUint16(4, bytes.length - 40);
    }
    if (protocol === 6) {
      view.setUint32(start + 4, (original.getUint32(start + 4) + at - headers) % 2 ** 32);
      if (!last) view.setUint8(start + 13, original.getUint8(start + 13) & ~0b1001); // PSH and FIN
      if ((original.getUint8(start + 13) & 0b1000_0000) !== 0) throw new Error("CWR needs its own GSO type");
    } else {
      view.setUint16(start + 4, bytes.length - start);
    }
    segments.push(finished(bytes, family, protocol, start));
  }
  return segments;
}

/** The packet with the transport checksum at `start` computed, whatever it was. */
export function finished(packet: Uint8Array, family: number, protocol: number, start: number): Uint8Array {
  const bytes = packet.slice();
  const view = new DataView(bytes.buffer);
  const field = start + (protocol === 6 ? 16 : 6);
  view.setUint16(field, 0);
  const sum = naiveSum(bytes, start, bytes.length, pseudo(bytes, family, protocol, start)) ^ 0xffff;
  view.setUint16(field, sum === 0 && protocol === 17 ? 0xffff : sum, true);
  return bytes;
}

/** The sum of the pseudo-header, as a little-endian word. */
export function pseudo(packet: Uint8Array, family: number, protocol: number, start: number): number {
  const addresses = family === 4 ? packet.slice(12, 20) : packet.slice(8, 40);
  const length = packet.length - start;
  const bytes = Uint8Array.from([...addresses, 0, 0, length >> 8, length & 255, 0, 0, 0, protocol]);
  return naiveSum(bytes, 0, bytes.length);
}
