/**
 * The sum of RFC 1071 section 1, one byte at a time in network order and swapped at the end: what the fast sums are
 * compared with in tests.
 */
export function naiveSum(bytes: Uint8Array, at: number, end: number, initial = 0): number {
  const swap = (word: number): number => ((word & 0xff) << 8) | (word >>> 8);
  let sum = swap(initial);
  for (let i = at; i < end; i++) {
    sum += (bytes[i] ?? 0) * ((i - at) % 2 === 0 ? 256 : 1);
    if (sum > 0xffff) sum -= 0xffff; // the carry comes back in at the right
  }
  return swap(sum);
}
