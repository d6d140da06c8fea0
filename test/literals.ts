// Addresses as tests write them. A typing error in a test is not a result: what does not parse throws.

import { type Addr, parseAddr } from "../pkg/addr/addr.ts";
import { type Mac, parseMac } from "../pkg/addr/mac.ts";
import { parsePrefix, type Prefix } from "../pkg/addr/prefix.ts";

export function addr(text: string): Addr {
  const value = parseAddr(text);
  if (!value) throw new Error(`no address: ${text}`);
  return value;
}

export function prefix(text: string): Prefix {
  const value = parsePrefix(text);
  if (!value) throw new Error(`no prefix: ${text}`);
  return value;
}

export function mac(text: string): Mac {
  const value = parseMac(text);
  if (!value) throw new Error(`no MAC: ${text}`);
  return value;
}
