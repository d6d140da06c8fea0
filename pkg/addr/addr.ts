import { ADDR_BITS, type Family } from "./family.ts";

/** An IP address as a number, so that arithmetic and comparison are the same for both families. Never on the packet path. */
export interface Addr {
  readonly family: Family;
  readonly value: bigint;
}

/**
 * Reads an IPv4 address in dotted form (four decimal numbers without leading zeros, as Go's net.ParseIP since 1.17) or
 * an IPv6 address (RFC 4291 section 2.2; no zone). Undefined when the text is neither.
 */
export function parseAddr(text: string): Addr | undefined {
  if (text.includes(":")) {
    const value = parseIpv6(text);
    return value === undefined ? undefined : { family: 6, value };
  }
  const value = parseIpv4(text);
  return value === undefined ? undefined : { family: 4, value };
}

/** Writes IPv4 dotted and IPv6 by RFC 5952, which is also Go's form and so flannel's. */
export function formatAddr(addr: Addr): string {
  return addr.family === 4 ? formatIpv4(addr.value) : formatIpv6(addr.value);
}

/** Network byte order, 4 or 16 bytes. */
export function addrBytes(addr: Addr): Uint8Array {
  const bytes = new Uint8Array(ADDR_BITS[addr.family] / 8);
  const view = new DataView(bytes.buffer);
  if (addr.family === 4) {
    view.setUint32(0, Number(addr.value));
  } else {
    view.setBigUint64(0, addr.value >> 64n);
    view.setBigUint64(8, addr.value); // the lower half: it takes its argument modulo 2^64
  }
  return bytes;
}

/** The address held by 4 or 16 bytes in network byte order. Throws a RangeError on any other length. */
export function addrFromBytes(bytes: Uint8Array): Addr {
  if (bytes.length !== 4 && bytes.length !== 16)
    throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (bytes.length === 4) return { family: 4, value: BigInt(view.getUint32(0)) };
  return { family: 6, value: (view.getBigUint64(0) << 64n) | view.getBigUint64(8) };
}

/** IPv4 before IPv6, then by number: negative, zero or positive. */
export function compareAddr(a: Addr, b: Addr): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}

export function sameAddr(a: Addr | undefined, b: Addr | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.family === b.family && a.value === b.value;
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part)) return undefined;
    const byte = Number(part);
    if (byte > 255) return undefined;
    value = value * 256 + byte;
  }
  return BigInt(value);
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? "", true) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  // "::" stands for at least one group of zeros (RFC 4291 section 2.2).
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array<number>(missing).fill(0), ...tail]) value = (value << 16n) | BigInt(group);
  return value;
}

// `last` says whether these groups end the address: only there an embedded IPv4 address may stand.
function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && part.includes(".")) {
      const v4 = parseIpv4(part);
      if (v4 === undefined) return undefined;
      groups.push(Number(v4 >> 16n), Number(v4 & 0xffffn));
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

function formatIpv4(value: bigint): string {
  const v = Number(value);
  return `${v >>> 24}.${(v >>> 16) & 0xff}.${(v >>> 8) & 0xff}.${v & 0xff}`;
}

function formatIpv6(value: bigint): string {
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((value >> shift) & 0xffffn));
  // An IPv4-mapped address is written with its IPv4 part dotted (RFC 5952 section 5).
  if (value >> 32n === 0xffffn) return `::ffff:${formatIpv4(value & 0xffff_ffffn)}`;
  const zeros = longestZeroRun(groups);
  if (!zeros) return groups.map((g) => g.toString(16)).join(":");
  const hex = (part: readonly number[]): string => part.map((g) => g.toString(16)).join(":");
  return `${hex(groups.slice(0, zeros.start))}::${hex(groups.slice(zeros.end))}`;
}

// The first longest run of two or more zero groups (RFC 5952 section 4.2).
function longestZeroRun(groups: readonly number[]): { start: number; end: number } | undefined {
  let best: { start: number; end: number } | undefined;
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - start >= 2 && (!best || end - start > best.end - best.start)) best = { start, end };
    if (end > start) start = end;
  }
  return best;
}
