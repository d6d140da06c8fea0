import { expect, test } from "vitest";
import { parseRoundTrips } from "./rtt.ts";

test("ping's lines give microseconds; its header, duplicates and its summary give none", () => {
  const text = `PING 10.1.2.10 (10.1.2.10) 56(84) bytes of data.
64 bytes from 10.1.2.10: icmp_seq=1 ttl=62 time=0.034 ms
64 bytes from 10.1.2.10: icmp_seq=2 ttl=62 time=12.5 ms
64 bytes from 10.1.2.10: icmp_seq=2 ttl=62 time=12.6 ms (DUP!)
64 bytes from 10.1.2.10: icmp_seq=4 ttl=62 time=101 ms

--- 10.1.2.10 ping statistics ---
4 packets transmitted, 3 received, +1 duplicates, 25% packet loss, time 6ms
rtt min/avg/max/mdev = 0.034/37.8/101/0.1 ms, ipg/ewma 2.1/0.1 ms
`;
  const times = parseRoundTrips(text);
  expect(times.map((time) => Math.round(time))).toEqual([34, 12_500, 101_000]);
  expect(parseRoundTrips("ping: connect: Network is unreachable\n")).toEqual([]);
});
