import type { Family } from "../../addr/family.ts";
import { get16, get32, get8 } from "../../packet/bytes.ts";

/**
 * Whether the address at `at` is none that a packet between nodes may come from or go to: unspecified or "this network",
 * loopback, link-local, multicast, reserved (RFC 6890), and in IPv6 also IPv4-mapped. HOT PATH.
 */
export function isNotUnicast(bytes: Uint8Array, at: number, family: Family): boolean {
  if (family === 4) {
    const first = get8(bytes, at);
    // 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/4, 240.0.0.0/4 with the broadcast address, 169.254.0.0/16
    return first === 0 || first === 127 || first >= 224 || (first === 169 && get8(bytes, at + 1) === 254);
  }
  const first = get16(bytes, at);
  // ff00::/8, fe80::/10
  if (first >= 0xff00 || (first & 0xffc0) === 0xfe80) return true;
  if (get32(bytes, at) !== 0 || get32(bytes, at + 4) !== 0) return false;
  // ::ffff:0:0/96, :: and ::1
  const third = get32(bytes, at + 8);
  return third === 0xffff || (third === 0 && get32(bytes, at + 12) <= 1);
}
