// Recordings of other implementations, read by our decoders: real flannel nodes, and captures of the test suites of
// tcpdump and PcapPlusPlus. They lie beside the repository, not in it.

import { existsSync, globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readPcap } from "../pcap.ts";
import { describeFrame } from "./describe-frame.ts";

const GOLDEN = fileURLToPath(new URL("../../../shared/golden/", import.meta.url));

// How often each line occurs in a capture, in the order of first sight.
function summary(path: string): string[] {
  const counts = new Map<string, number>();
  for (const frame of readPcap(path)) {
    const line = describeFrame(frame.bytes);
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return [...counts].map(([line, count]) => `${count} x ${line}`);
}

// The flannel nodes' veths leave the outer checksum to the NIC, hence "partial".
const captures: Record<string, readonly string[]> = {
  "flannel/vxlan/underlay.pcap": [
    "3 x 172.30.77.11 > 172.30.77.12 ttl 64 udp 134 checksum partial 114 to 8472 | vni 1 | ee:23:b3:fa:48:1e > be:b3:f6:6f:9b:38 | 10.5.11.10 > 10.5.38.10 ttl 63 icmp 84 checksum ok",
    "3 x 172.30.77.12 > 172.30.77.11 ttl 64 udp 134 checksum partial 114 to 8472 | vni 1 | be:b3:f6:6f:9b:38 > ee:23:b3:fa:48:1e | 10.5.38.10 > 10.5.11.10 ttl 63 icmp 84 checksum ok",
  ],
  // VNI 77 on port 4789, and pings of exactly the pod MTU: 1350 inside, 1400 outside.
  "flannel/vxlan-opts/underlay.pcap": [
    "3 x 172.30.77.11 > 172.30.77.12 ttl 64 udp 1400 checksum partial 1380 to 4789 | vni 77 | 22:51:ea:fd:7b:6f > 0e:31:ce:66:71:13 | 10.5.19.74 > 10.5.10.138 ttl 63 icmp 1350 checksum ok",
    "3 x 172.30.77.12 > 172.30.77.11 ttl 64 udp 1400 checksum partial 1380 to 4789 | vni 77 | 0e:31:ce:66:71:13 > 22:51:ea:fd:7b:6f | 10.5.10.138 > 10.5.19.74 ttl 63 icmp 1350 checksum ok",
  ],
  "flannel/dualstack-nft/underlay.pcap": [
    "3 x 172.30.77.11 > 172.30.77.12 ttl 64 udp 134 checksum partial 114 to 8472 | vni 1 | ce:9a:30:bf:8e:d4 > d6:fa:d3:49:d8:a4 | 10.5.31.10 > 10.5.86.10 ttl 63 icmp 84 checksum ok",
    "3 x 172.30.77.12 > 172.30.77.11 ttl 64 udp 134 checksum partial 114 to 8472 | vni 1 | d6:fa:d3:49:d8:a4 > ce:9a:30:bf:8e:d4 | 10.5.86.10 > 10.5.31.10 ttl 63 icmp 84 checksum ok",
    "2 x fd77::11 > fd77::12 ttl 64 udp 174 checksum partial 134 to 8472 | vni 1 | be:5b:0c:2d:29:6e > 0e:1f:02:be:a1:13 | fd05:0:0:48:: > fd05:0:0:31::1 ttl 64 icmp6 104 checksum ok",
    "2 x fd77::12 > fd77::11 ttl 64 udp 174 checksum partial 134 to 8472 | vni 1 | 0e:1f:02:be:a1:13 > be:5b:0c:2d:29:6e | fd05:0:0:31::1 > fd05:0:0:48:: ttl 64 icmp6 104 checksum ok",
  ],
  "flannel/vxlan-directrouting/underlay.pcap": [
    "3 x 800 10.5.37.10 > 10.5.16.10 ttl 63 icmp 84 checksum ok",
    "3 x 800 10.5.16.10 > 10.5.37.10 ttl 63 icmp 84 checksum ok",
  ],
  "flannel/hostgw/underlay.pcap": [
    "3 x 800 10.5.51.10 > 10.5.18.10 ttl 63 icmp 84 checksum ok",
    "3 x 800 10.5.18.10 > 10.5.51.10 ttl 63 icmp 84 checksum ok",
  ],
  // flannel's udp backend puts no header before the inner packet, so 0x45 stands where VXLAN's flags would.
  "flannel/udp/underlay.pcap": [
    "3 x 172.30.77.11 > 172.30.77.12 ttl 64 udp 112 checksum partial 92 to 8285 | bad flags",
    "3 x 172.30.77.12 > 172.30.77.11 ttl 64 udp 112 checksum partial 92 to 8285 | bad flags",
  ],

  "pcaps/tcpdump/vxlan.pcap": [
    "4 x 192.168.203.1 > 192.168.202.1 ttl 64 udp 134 no checksum 114 to 4789 | vni 100 | 00:16:3e:37:f6:04 > 00:30:88:01:00:02 | 192.168.203.3 > 192.168.203.5 ttl 64 icmp 84 checksum ok",
    "1 x 192.168.202.1 > 192.168.203.1 ttl 62 udp 78 no checksum 58 to 4789 | vni 100 | 00:30:88:01:00:02 > ff:ff:ff:ff:ff:ff | type 806",
    "1 x 192.168.203.1 > 192.168.202.1 ttl 64 udp 78 no checksum 58 to 4789 | vni 100 | 00:16:3e:37:f6:04 > 00:30:88:01:00:02 | type 806",
    "4 x 192.168.202.1 > 192.168.203.1 ttl 62 udp 134 no checksum 114 to 4789 | vni 100 | 00:30:88:01:00:02 > 00:16:3e:37:f6:04 | 192.168.203.5 > 192.168.203.3 ttl 64 icmp 84 checksum ok",
  ],
  "pcaps/tcpdump/vxlan_port_8472.pcap": [
    "4 x 192.168.203.1 > 192.168.202.1 ttl 64 udp 134 no checksum 114 to 8472 | vni 100 | 00:16:3e:37:f6:04 > 00:30:88:01:00:02 | 192.168.203.3 > 192.168.203.5 ttl 64 icmp 84 checksum ok",
    "1 x 192.168.202.1 > 192.168.203.1 ttl 62 udp 78 no checksum 58 to 8472 | vni 100 | 00:30:88:01:00:02 > ff:ff:ff:ff:ff:ff | type 806",
    "1 x 192.168.203.1 > 192.168.202.1 ttl 64 udp 78 no checksum 58 to 8472 | vni 100 | 00:16:3e:37:f6:04 > 00:30:88:01:00:02 | type 806",
    "4 x 192.168.202.1 > 192.168.203.1 ttl 62 udp 134 no checksum 114 to 8472 | vni 100 | 00:30:88:01:00:02 > 00:16:3e:37:f6:04 | 192.168.203.5 > 192.168.203.3 ttl 64 icmp 84 checksum ok",
  ],
  // Captured before segmentation: larger than any MTU, and only the pseudo-headers summed.
  "pcaps/tcpdump/gso-ipv4-vxlan-ipv4.pcap": [
    "1 x 10.25.132.11 > 10.25.132.13 ttl 61 udp 7092 checksum partial 7072 to 4789 | vni 5001 | 76:bd:91:4a:21:f9 > fe:36:a5:67:e0:ac | 192.168.1.2 > 192.168.1.1 ttl 64 tcp 7042 checksum partial",
  ],
  "pcaps/tcpdump/gso-ipv4-vxlan-ipv6.pcap": [
    "1 x 10.25.132.11 > 10.25.132.13 ttl 61 udp 4256 checksum partial 4236 to 4789 | vni 5001 | 76:bd:91:4a:21:f9 > fe:36:a5:67:e0:ac | fd00::2 > fd00::1 ttl 64 tcp 4206 checksum partial",
  ],
  "pcaps/tcpdump/gso-ipv6-vxlan-ipv4.pcap": [
    "1 x 2604:1380:4091:ce00::b > 2604:1380:4091:ce00::d ttl 61 udp 7012 checksum partial 6972 to 4789 | vni 5001 | 76:bd:91:4a:21:f9 > fe:36:a5:67:e0:ac | 192.168.1.2 > 192.168.1.1 ttl 64 tcp 6942 checksum partial",
  ],
  "pcaps/tcpdump/gso-ipv6-vxlan-ipv6.pcap": [
    "1 x 2604:1380:4091:ce00::b > 2604:1380:4091:ce00::d ttl 61 udp 4216 checksum partial 4176 to 4789 | vni 5001 | 76:bd:91:4a:21:f9 > fe:36:a5:67:e0:ac | fd00::2 > fd00::1 ttl 64 tcp 4146 checksum partial",
  ],
  // BIG TCP: 80 KB, so every length field that cannot say it is 0, outside and inside.
  "pcaps/tcpdump/bigtcp-ipv4-vxlan-ipv4.pcap": [
    "1 x 10.25.132.11 > 10.25.132.13 ttl 61 udp bad length no length to 4789 | vni 5001 | 76:bd:91:4a:21:f9 > fe:36:a5:67:e0:ac | 192.168.1.2 > 192.168.1.1 ttl 64 tcp bad length",
  ],
  "pcaps/tcpdump/bigtcp-ipv4-vxlan-ipv6.pcap": [
    "1 x 10.25.132.11 > 10.25.132.13 ttl 61 udp bad length no length to 4789 | vni 5001 | 76:bd:91:4a:21:f9 > fe:36:a5:67:e0:ac | fd00::2 > fd00::1 ttl 64 tcp bad length",
  ],
  "pcaps/tcpdump/bigtcp-ipv6-vxlan-ipv4.pcap": [
    "1 x 2604:1380:4091:ce00::d > 2604:1380:4091:ce00::b ttl 64 udp bad length no length to 4789 | vni 5001 | fe:36:a5:67:e0:ac > 76:bd:91:4a:21:f9 | 192.168.1.1 > 192.168.1.2 ttl 64 tcp bad length",
  ],
  "pcaps/tcpdump/bigtcp-ipv6-vxlan-ipv6.pcap": [
    "1 x 2604:1380:4091:ce00::d > 2604:1380:4091:ce00::b ttl 64 udp bad length no length to 4789 | vni 5001 | fe:36:a5:67:e0:ac > 76:bd:91:4a:21:f9 | fd00::1 > fd00::2 ttl 64 tcp bad length",
  ],
  "pcaps/tcpdump/nsh-over-vxlan-gpe.pcap": [
    "1 x 127.0.0.1 > 127.0.0.1 ttl 64 udp 92 checksum ok 72 to 4790 | bad flags",
  ],
  // Group policy: the G flag, and a policy in reserved places.
  "pcaps/pcapplusplus/Vxlan1.pcap": [
    "1 x 192.168.203.1 > 192.168.202.1 ttl 64 udp 134 checksum ok 114 to 4789 | bad flags",
  ],
  "pcaps/pcapplusplus/Vxlan2.pcap": [
    "1 x 192.168.203.1 > 192.168.202.1 ttl 64 udp 134 checksum ok 114 to 4789 | bad flags",
  ],
};

for (const [file, lines] of Object.entries(captures)) {
  test(`${file} reads as it was sent`, (context) => {
    if (!existsSync(GOLDEN)) context.skip("the recordings are not beside this checkout");
    expect(summary(GOLDEN + file)).toEqual(lines);
  });
}

test("every Geneve frame is refused", (context) => {
  if (!existsSync(GOLDEN)) context.skip("the recordings are not beside this checkout");
  const frames = globSync(`${GOLDEN}pcaps/tcpdump/*geneve*.pcap`).flatMap((file) => [...readPcap(file)]);
  expect(frames.length).toBe(39 + 9); // geneve.pcap, and nine captures of one frame
  for (const frame of frames) expect(describeFrame(frame.bytes)).toMatch(/to 6081 \| bad flags$/);
});

test("no recording is left out", (context) => {
  if (!existsSync(GOLDEN)) context.skip("the recordings are not beside this checkout");
  const files = globSync(`${GOLDEN}**/*.pcap`).map((file) => file.slice(GOLDEN.length));
  expect(files.filter((file) => !file.includes("geneve")).toSorted()).toEqual(Object.keys(captures).toSorted());
});

test("the VNIs are those that tcpdump prints", (context) => {
  if (!existsSync(GOLDEN)) context.skip("the recordings are not beside this checkout");
  for (const out of globSync(`${GOLDEN}pcaps/tcpdump/*vxlan{,_port_8472,-ipv4,-ipv6}.out`)) {
    const text = readFileSync(out, "utf8");
    const theirs = [...text.matchAll(/VXLAN, flags \[I\] \(0x08\), vni (\d+)/g)].map((match) => match[1]);
    const frames = [...readPcap(out.replace(/out$/, "pcap"))];
    const ours = frames.map((frame) => /vni (\d+)/.exec(describeFrame(frame.bytes))?.[1]);
    expect(ours, out).toEqual(theirs);
  }
});

test("time stamps are in seconds", (context) => {
  if (!existsSync(GOLDEN)) context.skip("the recordings are not beside this checkout");
  const [first] = readPcap(`${GOLDEN}pcaps/tcpdump/vxlan.pcap`);
  expect(new Date((first?.time ?? 0) * 1000).toISOString()).toBe("2013-05-18T20:21:44.837Z");
});
