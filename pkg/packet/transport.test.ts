import { expect, test } from "vitest";
import { guarded } from "../../test/guarded.ts";
import { hex } from "../../test/hex.ts";
import {
  putTcpFlags,
  putTcpSeq,
  TCP_ACK,
  TCP_CWR,
  TCP_PSH,
  tcpAck,
  tcpDstPort,
  tcpFlags,
  tcpHeaderLength,
  tcpSeq,
  tcpSrcPort,
  tcpWindow,
} from "./tcp.ts";
import { putUdp, putUdpLength, udpDstPort, udpLength, udpSrcPort } from "./udp.ts";

test("putUdp writes the outer UDP header of a flannel frame, without a checksum", () => {
  const buf = new Uint8Array(10).fill(0xee);
  putUdp(buf, 1, 47799, 8472, 114);
  expect(buf).toEqual(hex("ee bab7 2118 0072 0000 ee"));
  expect([udpSrcPort(buf, 1), udpDstPort(buf, 1), udpLength(buf, 1)]).toEqual([47799, 8472, 114]);
  putUdpLength(buf, 1, 0xfffe);
  expect(udpLength(buf, 1)).toBe(0xfffe);
});

// ports 5201 -> 47000, sequence number and acknowledgment beyond 2^31, data offset 8, CWR|ACK|PSH, window 502,
// checksum, urgent, timestamp option
const TCP = "1451 b798 | fffffff0 | 80000001 | 80 98 01f6 | abcd 0000 | 0101080a 00000001 00000002";

test("the TCP readers read unsigned fields", () => {
  const buf = hex(`ee ${TCP}`);
  expect([tcpSrcPort(buf, 1), tcpDstPort(buf, 1)]).toEqual([5201, 47000]);
  expect([tcpSeq(buf, 1), tcpAck(buf, 1)]).toEqual([0xffff_fff0, 0x8000_0001]);
  expect([tcpFlags(buf, 1), tcpWindow(buf, 1)]).toEqual([TCP_CWR | TCP_ACK | TCP_PSH, 502]);
  expect(tcpHeaderLength(buf, 1, 33)).toBe(32);
});

test("a segment's sequence number and flags are written in place", () => {
  const buf = hex(TCP);
  putTcpSeq(buf, 0, 0xffff_fff0 + 1448); // wraps
  putTcpFlags(buf, 0, TCP_ACK);
  expect(buf).toEqual(hex(TCP.replace("fffffff0", "00000598").replace("80 98", "80 10")));
});

test("tcpHeaderLength refuses a header that is cut short or says that it is", () => {
  const buf = hex(TCP);
  for (let end = 0; end < 32; end++) expect(tcpHeaderLength(guarded(buf, 0, end), 0, end), `${end} bytes`).toBe(0);
  expect(tcpHeaderLength(hex(TCP.replace("80 98", "40 98")), 0, 32)).toBe(0);
});
