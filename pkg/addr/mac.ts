declare const brand: unique symbol;

/** An Ethernet address in lower case with colons: "52:34:41:6f:b6:4d". */
export type Mac = string & { readonly [brand]: "Mac" };

/**
 * Reads a 48-bit Ethernet address in the forms that Go's net.ParseMAC knows: "52:34:41:6f:b6:4d", "52-34-41-6f-b6-4d",
 * "5234.416f.b64d". Undefined when the text is none of them.
 */
export function parseMac(text: string): Mac | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$|^[0-9a-f]{2}(-[0-9a-f]{2}){5}$|^[0-9a-f]{4}(\.[0-9a-f]{4}){2}$/i.test(text)) {
    return undefined;
  }
  const digits = text.toLowerCase().replaceAll(/[^0-9a-f]/g, "");
  return (digits.match(/../g) ?? []).join(":") as Mac;
}

/** Six bytes. */
export function macBytes(mac: Mac): Uint8Array {
  return Uint8Array.from(mac.split(":"), (part) => Number.parseInt(part, 16));
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** The address in the first six bytes of `bytes`. */
export function macFromBytes(bytes: Uint8Array): Mac {
  return Array.from(bytes.subarray(0, 6), (byte) => HEX[byte]).join(":") as Mac;
}

/** A random unicast address of the locally administered range (IEEE 802-2014 section 8.4), from a source in [0, 1). */
export function randomMac(random: () => number): Mac {
  const bytes = Uint8Array.from({ length: 6 }, () => Math.floor(random() * 256));
  bytes[0] = ((bytes[0] ?? 0) & 0xfe) | 0x02;
  return macFromBytes(bytes);
}
