import * as fc from "fast-check";
import { expect, test } from "vitest";
import { guarded } from "../../test/guarded.ts";
import { hex } from "../../test/hex.ts";
import { putVxlan, VXLAN_BAD_FLAGS, VXLAN_HEADER_LEN, VXLAN_OVERHEAD, VXLAN_SHORT, vxlanVni } from "./vxlan.ts";

const cases = [
  { name: "VNI 0", vni: 0, bytes: "08 000000 | 000000 00" },
  { name: "flannel's VNI 1", vni: 1, bytes: "08 000000 | 000001 00" },
  { name: "VNI 8388608, whose top bit is set", vni: 0x800000, bytes: "08 000000 | 800000 00" },
  { name: "the largest VNI", vni: 0xffffff, bytes: "08 000000 | ffffff 00" },
];
for (const c of cases) {
  test(`putVxlan writes ${c.name} over stale bytes`, () => {
    const buf = new Uint8Array(10).fill(0xee);
    putVxlan(buf, 1, c.vni);
    expect(buf).toEqual(hex(`ee ${c.bytes} ee`));
    expect(vxlanVni(buf, 1, 9)).toBe(c.vni);
  });
}

const refused = [
  { name: "no I flag", bytes: "00 000000 | 000001 00" },
  { name: "all flags", bytes: "ff 000000 | 000001 00" },
  { name: "GBP: the G flag and a policy", bytes: "88 000064 | 000001 00" },
  { name: "GPE: the P flag and a next protocol", bytes: "0c 000004 | 000001 00" },
  { name: "remote checksum offload", bytes: "08 200000 | 000001 00" },
  { name: "a reserved bit beside the flags", bytes: "08 000001 | 000001 00" },
  { name: "a reserved bit beside the VNI", bytes: "08 000000 | 000001 01" },
];
for (const c of refused) {
  test(`vxlanVni refuses ${c.name}`, () => {
    expect(vxlanVni(hex(`ee ${c.bytes} ee`), 1, 9)).toBe(VXLAN_BAD_FLAGS);
  });
}

test("vxlanVni accepts one first word in 2^32 and one last byte in 256", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), (bytes) => {
      const [flags, r1, r2, r3, v1 = 0, v2 = 0, v3 = 0, r4] = bytes;
      const plain = flags === 8 && r1 === 0 && r2 === 0 && r3 === 0 && r4 === 0;
      expect(vxlanVni(bytes, 0, 8)).toBe(plain ? v1 * 65536 + v2 * 256 + v3 : VXLAN_BAD_FLAGS);
    }),
  );
});

test("vxlanVni of less than a header is short, whatever follows", () => {
  for (let length = 0; length < VXLAN_HEADER_LEN; length++) {
    const buf = guarded(hex("ee 08 000000 | 000001 00"), 1, 1 + length);
    expect(vxlanVni(buf, 1, 1 + length)).toBe(VXLAN_SHORT);
  }
});

test("the overhead is flannel's 50 over IPv4 and 70 over IPv6", () => {
  expect(VXLAN_OVERHEAD).toEqual({ 4: 50, 6: 70 });
});
