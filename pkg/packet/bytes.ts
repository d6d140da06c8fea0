// Loads and stores, in network byte order unless the name ends in `le`. HOT PATH.
//
// Nothing here checks bounds: the caller has compared lengths once, before its first load.

/* oxlint-disable typescript/no-non-null-assertion -- the one file where bytes are indexed: callers checked the length */

export function get8(buf: Uint8Array, at: number): number {
  return buf[at]!;
}

export function get16(buf: Uint8Array, at: number): number {
  return (buf[at]! << 8) | buf[at + 1]!;
}

/** Little endian: what Internet checksums are computed in here, and what the host writes. */
export function get16le(buf: Uint8Array, at: number): number {
  return buf[at]! | (buf[at + 1]! << 8);
}

/** Unsigned. */
export function get32(buf: Uint8Array, at: number): number {
  return ((buf[at]! << 24) | (buf[at + 1]! << 16) | (buf[at + 2]! << 8) | buf[at + 3]!) >>> 0;
}

export function put8(buf: Uint8Array, at: number, value: number): void {
  buf[at] = value;
}

export function put16(buf: Uint8Array, at: number, value: number): void {
  buf[at] = value >>> 8;
  buf[at + 1] = value;
}

export function put16le(buf: Uint8Array, at: number, value: number): void {
  buf[at] = value;
  buf[at + 1] = value >>> 8;
}

export function put32(buf: Uint8Array, at: number, value: number): void {
  buf[at] = value >>> 24;
  buf[at + 1] = value >>> 16;
  buf[at + 2] = value >>> 8;
  buf[at + 3] = value;
}

/** Whether `length` bytes are the same in both places. */
export function sameBytes(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}

/** Copies `length` bytes. Unlike `set(subarray())` it makes no view; meant for headers, not for payload. */
export function copyBytes(to: Uint8Array, toAt: number, from: Uint8Array, fromAt: number, length: number): void {
  for (let i = 0; i < length; i++) to[toAt + i] = from[fromAt + i]!;
}
