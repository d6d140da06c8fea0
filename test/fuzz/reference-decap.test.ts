// The reference and the generator are judged by hand here, since everything else is judged by them.

import { expect, test } from "vitest";
import { seededRandom } from "../../pkg/base/backoff.ts";
import { hex } from "../hex.ts";
import { addr } from "../literals.ts";
import { DatagramMaker } from "./mutate.ts";
import { referenceDecap } from "./reference-decap.ts";
import { fuzzTable } from "./table.ts";

const VXLAN = "08000000 00000100";
const MACS = "0e0000000401 0e0000000402";
const zeros = (bytes: number): string => "00".repeat(bytes);

// 10.5.2.10 -> 10.5.1.10, protocol 253, no payload.
const IP = "45000014 00000000 40fd 62d0 0a05020a 0a05010a";
const GOOD = `${VXLAN} ${MACS} 0800 ${IP}`;

// The same with other addresses; the checksum follows from what the addresses differ by.
function from(source: string, destination = "0a05010a"): string {
  const words = (text: string): number => Number.parseInt(text.slice(0, 4), 16) + Number.parseInt(text.slice(4), 16);
  let sum = 0x4500 + 0x14 + 0x40fd + words(source) + words(destination);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  const checksum = (0xffff - sum).toString(16).padStart(4, "0");
  return `${VXLAN} ${MACS} 0800 45000014 00000000 40fd ${checksum} ${source} ${destination}`;
}

const IP6 = (source: string, destination: string, length = "0000", next = "3b"): string =>
  `${VXLAN} 0e0000000601 0e0000000602 86dd 60000000 ${length} ${next} 40 ${source} ${destination}`;
const PEER6 = `fd05000000000002${zeros(7)}0a`;
const OWN6 = `fd05000000000001${zeros(7)}0a`;

const cases: { name: string; bytes: string; from?: string; want: string; strict?: boolean }[] = [
  { name: "a packet between pods", bytes: GOOD, want: "deliver" },
  { name: "the same with padding", bytes: `${GOOD} 00000000`, want: "deliver" },
  { name: "a packet between IPv6 pods", bytes: IP6(PEER6, OWN6), from: "fd77::2", want: "deliver" },
  { name: "a packet of the peer itself", bytes: from("ac1e4d02"), want: "deliver" },
  { name: "a packet to our own host", bytes: from("0a05020a", "ac1e4d01"), want: "deliver" },
  { name: "nothing", bytes: "", want: "rx_short" },
  { name: "headers cut by a byte", bytes: `${VXLAN} ${MACS} 08`, want: "rx_short" },
  { name: "bare headers", bytes: `${VXLAN} ${MACS} 0800`, want: "rx_bad_ip" },
  { name: "another flag", bytes: GOOD.replace("08000000", "0c000000"), want: "rx_bad_flags" },
  { name: "a reserved bit", bytes: GOOD.replace("00000100", "00000101"), want: "rx_bad_flags" },
  { name: "VNI 2", bytes: GOOD.replace("00000100", "00000200"), want: "rx_bad_vni" },
  { name: "an unknown sender", bytes: GOOD, from: "172.30.77.8", want: "rx_unknown_peer" },
  { name: "ourselves as the sender", bytes: GOOD, from: "172.30.77.1", want: "rx_unknown_peer" },
  { name: "another node's MAC", bytes: GOOD.replace("0401", "0403"), want: "rx_bad_mac" },
  { name: "our MAC on both ends", bytes: GOOD.replace("0402", "0401"), want: "rx_bad_mac" },
  { name: "ARP", bytes: GOOD.replace(" 0800 ", " 0806 "), want: "rx_not_ip" },
  { name: "a VLAN tag", bytes: GOOD.replace(" 0800 ", " 81000007 0800 "), want: "rx_not_ip" },
  { name: "IPv4 said to be IPv6", bytes: GOOD.replace(" 0800 ", " 86dd "), want: "rx_bad_ip" },
  { name: "a wrong header checksum", bytes: GOOD.replace("62d0", "62d1"), want: "rx_bad_ip" },
  { name: "a length beyond the datagram", bytes: GOOD.replace("45000014", "45000015"), want: "rx_bad_ip" },
  { name: "BIG TCP over IPv6", bytes: IP6(PEER6, OWN6, "0000", "06"), from: "fd77::2", want: "rx_bad_ip" },
  { name: "another peer's pod as the source", bytes: from("0a05030a"), want: "rx_spoofed_source" },
  { name: "a source in nobody's subnet", bytes: from("0a05ff0a"), want: "rx_spoofed_source" },
  { name: "a source in our subnet", bytes: from("0a05010b"), want: "rx_spoofed_source" },
  { name: "our own address as the source", bytes: from("ac1e4d01"), want: "rx_spoofed_source" },
  { name: "IPv6 from an IPv4 peer", bytes: IP6(PEER6, OWN6).replace("0601", "0401"), want: "rx_spoofed_source" },
  { name: "a loopback source", bytes: from("7f000001"), want: "rx_martian" },
  { name: "a multicast source", bytes: from("e0000001"), want: "rx_martian" },
  { name: "a link-local IPv6 source", bytes: IP6(`fe80${zeros(13)}01`, OWN6), from: "fd77::2", want: "rx_martian" },
  { name: "a broadcast", bytes: from("0a05020a", "ffffffff"), want: "rx_bad_destination" },
  { name: "a destination on another node", bytes: from("0a05020a", "0a05030a"), want: "rx_bad_destination" },
  { name: "a destination in nobody's subnet", bytes: from("0a05020a", "0a05ff0a"), want: "rx_bad_destination" },
  { name: "a client behind the peer", bytes: from("08080808"), want: "foreign" },
  { name: "a client behind the peer", bytes: from("08080808"), strict: true, want: "rx_foreign_source" },
  { name: "another node's host", bytes: from("ac1e4d03"), strict: true, want: "rx_foreign_source" },
];
for (const c of cases) {
  test(`${c.name} is ${c.want}${c.strict ? " in strict mode" : ""}`, () => {
    const bytes = hex(c.bytes);
    const verdict = referenceDecap(fuzzTable(c.strict ?? false), {
      from: addr(c.from ?? "172.30.77.2"),
      tos: 0,
      bytes,
    });
    expect("drop" in verdict ? verdict.drop : verdict.foreign ? "foreign" : "deliver").toBe(c.want);
    if ("deliver" in verdict) expect(verdict.deliver).toEqual(bytes.subarray(22, 22 + (bytes[20] === 8 ? 20 : 40)));
  });
}

test("congestion marked outside goes inside, or the packet is dropped where it cannot", () => {
  const capable = GOOD.replace("45000014", "45020014").replace("62d0", "62ce");
  const received = (bytes: string, tos: number) => ({ from: addr("172.30.77.2"), tos, bytes: hex(bytes) });
  expect(referenceDecap(fuzzTable(false), received(capable, 3))).toEqual({
    deliver: hex(IP.replace("45000014", "45030014").replace("62d0", "62cd")),
    foreign: false,
  });
  expect(referenceDecap(fuzzTable(false), received(GOOD, 3))).toEqual({ drop: "rx_ecn" });
  expect(referenceDecap(fuzzTable(false), received(GOOD, 1))).toEqual({ deliver: hex(IP), foreign: false });
});

test("a seed makes the same datagrams again, and most of them are carried", () => {
  const table = fuzzTable(false);
  const [one, two] = [new DatagramMaker(table, seededRandom(5)), new DatagramMaker(table, seededRandom(5))];
  let carried = 0;
  for (let i = 0; i < 1000; i++) {
    const datagram = one.next();
    expect(two.next()).toEqual(datagram);
    if ("deliver" in referenceDecap(table, datagram)) carried++;
  }
  expect(carried).toBeGreaterThan(600);
  expect(carried).toBeLessThan(800);
});

test("every verdict of the reference is reached by made datagrams", () => {
  const seen = new Set<string>();
  for (const strict of [false, true]) {
    const table = fuzzTable(strict);
    const maker = new DatagramMaker(table, seededRandom(1));
    for (let i = 0; i < 50_000; i++) {
      const verdict = referenceDecap(table, maker.next());
      seen.add("drop" in verdict ? verdict.drop : verdict.foreign ? "foreign" : "deliver");
    }
  }
  const drops = cases.map((c) => c.want);
  expect([...seen].toSorted()).toEqual([...new Set([...drops, "rx_ecn", "rx_uncut_udp"])].toSorted());
});
