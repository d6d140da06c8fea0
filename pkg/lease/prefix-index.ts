import type { Family } from "../addr/family.ts";
import { containsPrefix, type Prefix, prefixOf } from "../addr/prefix.ts";

type ByValue = Map<bigint, { readonly prefix: Prefix; readonly names: Set<string> }>;

/**
 * Which of many named prefixes overlap a given one. Two prefixes overlap only when one contains the other, so that a
 * look-up per length in use finds everything that contains the asked one; what lies inside it is searched for among the
 * longer ones, which exist only where lengths are mixed.
 */
export class PrefixIndex {
  readonly #lengths: Readonly<Record<Family, Map<number, ByValue>>> = { 4: new Map(), 6: new Map() };

  add(prefix: Prefix, name: string): void {
    const lengths = this.#lengths[prefix.family];
    const values: ByValue = lengths.get(prefix.length) ?? new Map();
    lengths.set(prefix.length, values);
    const slot = values.get(prefix.value) ?? { prefix, names: new Set() };
    values.set(prefix.value, slot);
    slot.names.add(name);
  }

  delete(prefix: Prefix, name: string): void {
    const lengths = this.#lengths[prefix.family];
    const values = lengths.get(prefix.length);
    const slot = values?.get(prefix.value);
    if (!values || !slot) return;
    slot.names.delete(name);
    if (slot.names.size === 0) values.delete(prefix.value);
    if (values.size === 0) lengths.delete(prefix.length);
  }

  /** The names of all prefixes that overlap this one, itself among them where it is in the index. */
  *overlapping(prefix: Prefix): Generator<string> {
    for (const [length, values] of this.#lengths[prefix.family]) {
      if (length <= prefix.length) yield* values.get(prefixOf(prefix, length).value)?.names ?? [];
      else for (const slot of values.values()) if (containsPrefix(prefix, slot.prefix)) yield* slot.names;
    }
  }
}
