import { type Addr, compareAddr, formatAddr, parseAddr } from "./addr.ts";
import { ADDR_BITS, type Family } from "./family.ts";

/** A network: an address whose host bits are zero, and how many leading bits count. */
export interface Prefix {
  readonly family: Family;
  readonly value: bigint;
  readonly length: number;
}

/** An address with the length of its network, as on an interface: "10.5.52.1/24". */
export interface InterfaceAddr {
  readonly addr: Addr;
  readonly length: number;
}

/** The network of `length` bits that `addr` lies in. Throws a RangeError when the length does not fit the family. */
export function prefixOf(addr: Addr, length: number): Prefix {
  const bits = ADDR_BITS[addr.family];
  if (!Number.isInteger(length) || length < 0 || length > bits) {
    throw new RangeError(`an IPv${addr.family} prefix has 0 to ${bits} bits, not ${length}`);
  }
  const host = BigInt(bits - length);
  return { family: addr.family, value: (addr.value >> host) << host, length };
}

/** Reads "address/length" and keeps the host bits. Undefined when the text is not that. */
export function parseInterfaceAddr(text: string): InterfaceAddr | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const addr = parseAddr(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (!addr || !/^\d{1,3}$/.test(digits) || Number(digits) > ADDR_BITS[addr.family]) return undefined;
  return { addr, length: Number(digits) };
}

/** Reads "address/length"; host bits are cut off, as Go's net.ParseCIDR does. Undefined when the text is not that. */
export function parsePrefix(text: string): Prefix | undefined {
  const cidr = parseInterfaceAddr(text);
  return cidr && prefixOf(cidr.addr, cidr.length);
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddr(prefix)}/${prefix.length}`;
}

export function formatInterfaceAddr(address: InterfaceAddr): string {
  return `${formatAddr(address.addr)}/${address.length}`;
}

/** The `n`th address of the network; 0 is the network address itself. */
export function addrAt(prefix: Prefix, n: bigint): Addr {
  return { family: prefix.family, value: prefix.value + n };
}

/** The network's last address: the broadcast address of an IPv4 subnet. */
export function lastAddr(prefix: Prefix): Addr {
  return addrAt(prefix, (1n << BigInt(ADDR_BITS[prefix.family] - prefix.length)) - 1n);
}

export function containsAddr(prefix: Prefix, addr: Addr): boolean {
  if (prefix.family !== addr.family) return false;
  const host = BigInt(ADDR_BITS[prefix.family] - prefix.length);
  return prefix.value >> host === addr.value >> host;
}

/** Whether `inner` lies wholly in `outer`; a prefix contains itself. */
export function containsPrefix(outer: Prefix, inner: Prefix): boolean {
  return inner.length >= outer.length && containsAddr(outer, inner);
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  return containsPrefix(a, b) || containsPrefix(b, a);
}

export function samePrefix(a: Prefix | undefined, b: Prefix | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.family === b.family && a.value === b.value && a.length === b.length;
}

/** By address, then the shorter prefix first: negative, zero or positive. */
export function comparePrefix(a: Prefix, b: Prefix): number {
  return compareAddr(a, b) || a.length - b.length;
}
