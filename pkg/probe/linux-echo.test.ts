import { expect, test } from "vitest";
import { addr } from "../../test/literals.ts";
import { systemClock } from "../base/clock.ts";
import { LinuxEcho } from "./linux-echo.ts";
import { tcpProbe } from "./tcp.ts";

const isRoot = process.geteuid?.() === 0;

for (const address of ["127.0.0.1", "::1"]) {
  test.skipIf(!isRoot)(`${address} answers, up to the MTU of the loopback`, async () => {
    const echo = new LinuxEcho({ clock: systemClock, random: Math.random });
    const other = new LinuxEcho({ clock: systemClock, random: Math.random });
    const replies = await Promise.all([56, 1450, 9000, 40_000].map((size) => echo.ping(addr(address), size, 1000)));
    const others = await other.ping(addr(address), 100, 1000);
    for (const { rttMs } of [...replies, others]) expect(rttMs).toBeLessThan(1000);
    echo.close();
    other.close();
    expect(await echo.ping(addr(address), 56, 1000)).toEqual({ none: "lost" });
  });
}

test.skipIf(!isRoot)("silence is lost after the time given, and at once when it is closed", async () => {
  const echo = new LinuxEcho({ clock: systemClock, random: Math.random });
  // RFC 6666: packets to 100::/64 are discarded; where there is no route they do not even leave.
  expect(["lost", "unroutable"]).toContain((await echo.ping(addr("100::1"), 56, 50)).none);
  const start = systemClock.now();
  const waiting = echo.ping(addr("192.0.2.1"), 56, 60_000);
  echo.close();
  expect(["lost", "unroutable"]).toContain((await waiting).none);
  expect(systemClock.now() - start).toBeLessThan(1000);
});

test("to be refused is an answer", async () => {
  expect(await tcpProbe(systemClock)(addr("127.0.0.1"), 1000, new AbortController().signal)).toBe(true);
  expect(await tcpProbe(systemClock)(addr("127.0.0.1"), 1000, AbortSignal.abort())).toBe(false);
});
