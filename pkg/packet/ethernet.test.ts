import { expect, test } from "vitest";
import { hex } from "../../test/hex.ts";
import { ETHERNET_HEADER_LEN, ETHERTYPE_IPV4, ETHERTYPE_IPV6, etherType, putEthernet } from "./ethernet.ts";

const MACS = hex("beb3f66f9b38 ee23b3fa481e");

const cases = [
  { name: "IPv4", type: ETHERTYPE_IPV4, bytes: "beb3f66f9b38 ee23b3fa481e 0800" },
  { name: "IPv6", type: ETHERTYPE_IPV6, bytes: "beb3f66f9b38 ee23b3fa481e 86dd" },
];
for (const c of cases) {
  test(`putEthernet writes a header for ${c.name} and nothing beside it`, () => {
    const buf = new Uint8Array(ETHERNET_HEADER_LEN + 2).fill(0xee);
    putEthernet(buf, 1, MACS, c.type);
    expect(buf).toEqual(hex(`ee ${c.bytes} ee`));
    expect(etherType(buf, 1)).toBe(c.type);
  });
}
