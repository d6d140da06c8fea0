import { type Addr, addrBytes } from "../../addr/addr.ts";
import { ADDR_BITS, type Family } from "../../addr/family.ts";
import type { Prefix } from "../../addr/prefix.ts";

const WORDS = { 4: 1, 6: 4 } as const;
const NONE = -1;
const UNKNOWN = -2;
const RECENT = 16; // a power of two

/**
 * Longest-prefix match for one family: one hash probe for each prefix length that is present. All subnets of a network
 * have one length, so that is one probe as a rule, whatever the number of peers. Built once and then only read.
 */
export class PrefixTable {
  readonly #words: number;
  readonly #mask: number;
  // Lengths present, longest first, and for each its mask as words.
  readonly #lengths: Int32Array;
  readonly #masks: Int32Array;
  // Open addressing; row i is words of the prefix, its length, its value.
  readonly #keys: Int32Array;
  readonly #rowLength: Int32Array;
  readonly #rowValue: Int32Array;
  readonly #probe = new Int32Array(4);
  // The last answers, by a few bits of the address: packets come in trains.
  readonly #recentKeys: Int32Array;
  readonly #recentValues = new Int32Array(RECENT).fill(UNKNOWN);

  /** Values are whole numbers of at least 0. Of two entries for one prefix the first stands. */
  constructor(family: Family, entries: readonly { readonly prefix: Prefix; readonly value: number }[]) {
    this.#words = WORDS[family];
    let capacity = 8;
    while (capacity < entries.length * 2) capacity *= 2;
    this.#mask = capacity - 1;
    this.#recentKeys = new Int32Array(RECENT * this.#words);
    this.#keys = new Int32Array(capacity * this.#words);
    this.#rowLength = new Int32Array(capacity).fill(NONE);
    this.#rowValue = new Int32Array(capacity);
    this.#lengths = Int32Array.from([...new Set(entries.map((e) => e.prefix.length))].sort((a, b) => b - a));
    this.#masks = new Int32Array(this.#lengths.length * this.#words);
    for (const [i, length] of this.#lengths.entries()) {
      const bits = BigInt(ADDR_BITS[family]);
      const ones = ((1n << bits) - 1n) ^ ((1n << (bits - BigInt(length))) - 1n);
      this.#masks.set(addrWords({ family, value: ones }), i * this.#words);
    }
    for (const { prefix, value } of entries) this.#insert(addrWords(prefix), prefix.length, value);
  }

  #insert(words: Int32Array, length: number, value: number): void {
    this.#probe.set(words);
    let row = this.#hash(length);
    while (this.#rowLength[row] !== NONE) {
      if (this.#rowLength[row] === length && this.#matches(row)) return;
      row = (row + 1) & this.#mask;
    }
    this.#keys.set(words, row * this.#words);
    this.#rowLength[row] = length;
    this.#rowValue[row] = value;
  }

  /** The value of the longest prefix that holds the address at `at` of `bytes`, or -1. HOT PATH. */
  lookup(bytes: Uint8Array, at: number): number {
    const words = this.#words;
    const last = load32(bytes, at + (words - 1) * 4);
    const recent = (last ^ (last >>> 8)) & (RECENT - 1);
    const value = this.#recentValues[recent] as number;
    if (value !== UNKNOWN && this.#isRecent(bytes, at, recent)) return value;
    const found = this.#search(bytes, at);
    for (let w = 0; w < words; w++) this.#recentKeys[recent * words + w] = load32(bytes, at + w * 4);
    this.#recentValues[recent] = found;
    return found;
  }

  #isRecent(bytes: Uint8Array, at: number, recent: number): boolean {
    const words = this.#words;
    for (let w = words - 1; w >= 0; w--) {
      if (this.#recentKeys[recent * words + w] !== load32(bytes, at + w * 4)) return false;
    }
    return true;
  }

  #search(bytes: Uint8Array, at: number): number {
    const words = this.#words;
    const probe = this.#probe;
    for (let i = 0; i < this.#lengths.length; i++) {
      for (let w = 0; w < words; w++) {
        probe[w] = load32(bytes, at + w * 4) & (this.#masks[i * words + w] as number);
      }
      const length = this.#lengths[i] as number;
      let row = this.#hash(length);
      while (this.#rowLength[row] !== NONE) {
        if (this.#rowLength[row] === length && this.#matches(row)) return this.#rowValue[row] as number;
        row = (row + 1) & this.#mask;
      }
    }
    return NONE;
  }

  #hash(length: number): number {
    let h = Math.imul(length, 0x9e3779b1);
    for (let w = 0; w < this.#words; w++) h = Math.imul(h ^ (this.#probe[w] as number), 0x85ebca6b);
    return (h ^ (h >>> 15)) & this.#mask;
  }

  #matches(row: number): boolean {
    for (let w = 0; w < this.#words; w++) {
      if (this.#keys[row * this.#words + w] !== this.#probe[w]) return false;
    }
    return true;
  }
}

function load32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

function addrWords(addr: Addr): Int32Array {
  const bytes = addrBytes(addr);
  return Int32Array.from({ length: bytes.length / 4 }, (_, w) => load32(bytes, w * 4));
}
