import { expect, test } from "vitest";
import { hex } from "../../test/hex.ts";
import {
  putVnet,
  VNET_GSO_TCPV4,
  VNET_HDR_LEN,
  VNET_NEEDS_CSUM,
  vnetCsumOffset,
  vnetCsumStart,
  vnetFlags,
  vnetGsoSize,
  vnetGsoType,
  vnetHdrLen,
} from "./vnet.ts";

//                     flags type hdr_len gso_size csum_start csum_offset, as a little-endian kernel writes them
const TCP_SUPER_PACKET = "01 01 3400 7605 1400 1000";

test("putVnet writes a TCP super-packet's header in the host's order, and the readers read it back", () => {
  const buf = new Uint8Array(VNET_HDR_LEN + 2).fill(0xee);
  putVnet(buf, 1, VNET_NEEDS_CSUM, VNET_GSO_TCPV4, 52, 1398, 20, 16);
  expect(buf).toEqual(hex(`ee ${TCP_SUPER_PACKET} ee`));
  expect([vnetFlags(buf, 1), vnetGsoType(buf, 1), vnetHdrLen(buf, 1)]).toEqual([1, 1, 52]);
  expect([vnetGsoSize(buf, 1), vnetCsumStart(buf, 1), vnetCsumOffset(buf, 1)]).toEqual([1398, 20, 16]);
});

test("the fields lie where the kernel's struct has them", () => {
  const order = new Uint8Array(new Uint16Array([1]).buffer)[0];
  expect(order, "a big-endian machine needs TUNSETVNETLE").toBe(1);
  const view = new DataView(new ArrayBuffer(12), 1, VNET_HDR_LEN);
  for (const [at, value] of [
    [2, 0x1234],
    [4, 0x2345],
    [6, 0x3456],
    [8, 0x4567],
  ] as const) {
    view.setUint16(at, value, true);
  }
  const buf = new Uint8Array(view.buffer);
  expect([vnetHdrLen(buf, 1), vnetGsoSize(buf, 1), vnetCsumStart(buf, 1), vnetCsumOffset(buf, 1)]).toEqual([
    0x1234, 0x2345, 0x3456, 0x4567,
  ]);
});
