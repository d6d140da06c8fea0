// What people ask of the agent, from text to values.

import { type Addr, parseAddr } from "../addr/addr.ts";
import type { Family, PerFamily } from "../addr/family.ts";
import { parsePrefix, type Prefix } from "../addr/prefix.ts";
import { RefusedError } from "../api/control.ts";

/** Subnets as text, one of a family: "10.5.52.0/24". Throws a RefusedError that names what is wrong. */
export function subnetsOf(texts: readonly string[]): PerFamily<Prefix> {
  return perFamily(texts, parsePrefix, `a subnet: write it as 10.5.52.0/24`);
}

/** Addresses as text, one of a family. Throws a RefusedError that names what is wrong. */
export function addrsOf(texts: readonly string[]): PerFamily<Addr> {
  return perFamily(texts, parseAddr, "an IP address");
}

function perFamily<T extends { readonly family: Family }>(
  texts: readonly string[],
  parse: (text: string) => T | undefined,
  what: string,
): PerFamily<T> {
  const values: { [F in Family]?: T } = {};
  for (const text of texts) {
    const value = parse(text);
    if (!value) throw new RefusedError(`${JSON.stringify(text)} is not ${what}`);
    if (values[value.family]) throw new RefusedError(`${JSON.stringify(text)} is the second of IPv${value.family}`);
    values[value.family] = value;
  }
  if (texts.length === 0) throw new RefusedError(`there is not even one that is ${what}`);
  return values;
}
