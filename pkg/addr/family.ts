/** An address family. IPv4 and IPv6 differ in data, never in code paths: what depends on the family is keyed by it. */
export type Family = 4 | 6;

export const FAMILIES: readonly Family[] = [4, 6];

/** Address length in bits. */
export const ADDR_BITS = { 4: 32, 6: 128 } as const;

/** A value for each family that is in use. */
export type PerFamily<T> = { readonly [F in Family]?: T };

/** The same for every family that has a value. */
export function mapFamilies<T, U>(values: PerFamily<T>, fn: (value: T, family: Family) => U): PerFamily<U> {
  const out: { -readonly [F in Family]?: U } = {};
  for (const family of FAMILIES) {
    const value = values[family];
    if (value !== undefined) out[family] = fn(value, family);
  }
  return out;
}
