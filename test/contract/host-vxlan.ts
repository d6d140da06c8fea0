// The part of the Host contract that VXLAN by the kernel needs: devices, neighbours, forwarding entries, and the bell.

import { describe, expect, test } from "vitest";

import { formatAddr } from "../../pkg/addr/addr.ts";
import { systemClock, sleep } from "../../pkg/base/clock.ts";
import type { Host, HostChange, HostEvent, Link, Route, Vxlan } from "../../pkg/host/host.ts";
import { addr, mac, prefix } from "../literals.ts";
import type { HostUnderTest } from "./host.ts";

/** `make` as for hostContract. */
export function vxlanHostContract(name: string, make: () => Promise<HostUnderTest>): void {
  const on = (title: string, fn: (host: Host) => Promise<void>): void =>
    test(title, async () => {
      const made = await make();
      try {
        await fn(made.host);
      } finally {
        await made.close();
      }
    });

  describe(`${name}: VXLAN devices`, () => {
    on("makes one as it was asked for, down", async (host) => {
      await must(host, [underlay4, device(settings)]);
      expect(await link(host, "flannel.1")).toMatchObject({
        kind: "vxlan",
        mac: OWN_MAC,
        mtu: 1450,
        up: false,
        txQueueLen: 0,
        vxlan: settings,
      });
    });

    on("makes one over IPv6, and one with group policy and learning", async (host) => {
      await must(host, [
        { kind: "address", dev: "u0", address: { addr: addr("fd77::1"), length: 64 } },
        device({ ...settings, local: addr("fd77::1") }, "flannel-v6.1", 1430),
        device({ ...settings, vni: 7, port: 4789, learning: true, gbp: true }, "flannel.7"),
      ]);
      expect((await link(host, "flannel-v6.1")).vxlan).toEqual({ ...settings, local: addr("fd77::1") });
      const { vxlan } = await link(host, "flannel.7");
      expect(vxlan).toEqual({ ...settings, vni: 7, port: 4789, learning: true, gbp: true });
    });

    on("gives it no larger MTU than its underlay carries", async (host) => {
      await must(host, [device(settings, "flannel.1", 1500)]);
      expect((await link(host, "flannel.1")).mtu).toBe(1450);
      const [error] = await host.apply([{ kind: "link", dev: "flannel.1", mtu: 1451 }]);
      expect(error?.message).toBe("cannot set up the link flannel.1: Invalid argument");
      await must(host, [{ kind: "link", dev: "flannel.1", mtu: 1400 }]);
      expect((await link(host, "flannel.1")).mtu).toBe(1400);
    });

    on("changes MAC, local address and learning while it is up", async (host) => {
      await must(host, [device(settings), { kind: "link", dev: "flannel.1", up: true }]);
      const changed: Vxlan = { ...settings, local: addr("198.51.100.9"), learning: true };
      await must(host, [
        { kind: "link", dev: "flannel.1", mac: mac("0a:00:00:00:00:99") },
        { kind: "change-vxlan", dev: "flannel.1", vxlan: changed },
      ]);
      expect(await link(host, "flannel.1")).toMatchObject({ mac: "0a:00:00:00:00:99", up: true, vxlan: changed });
      await must(host, [{ kind: "change-vxlan", dev: "flannel.1", vxlan: settings }]);
      expect((await link(host, "flannel.1")).vxlan).toEqual(settings);
    });

    on("says what it cannot make", async (host) => {
      await must(host, [device(settings)]);
      const results = await host.apply([
        device(settings),
        device(settings, "flannel.2"),
        device({ ...settings, vni: 3, underlay: "gone0" }, "flannel.3"),
        device({ ...settings, vni: 3, underlay: "x y" }, "flannel.3"),
      ]);
      expect(results.map((result) => result?.message)).toEqual([
        "cannot make the VXLAN device flannel.1: File exists",
        "cannot make the VXLAN device flannel.2: A VXLAN device with the specified VNI already exists",
        'cannot make the VXLAN device flannel.3: Cannot find device "gone0"',
        'cannot make the VXLAN device flannel.3: "x y" is not the name of an interface',
      ]);
    });

    for (const dst of ["fd05:0:0:2::/64", "fd05::/48"]) {
      on(`gets the route fd05:0:0:2::/64 through it while ${dst} leads elsewhere`, async (host) => {
        const dev = "flannel.1";
        const route: Route = { dst: prefix("fd05:0:0:2::/64"), via: addr("fd05:0:0:2::"), dev, onlink: true };
        await must(host, [
          { kind: "address", dev: "u0", address: { addr: addr("fd77::1"), length: 64 } },
          device({ ...settings, local: addr("fd77::1") }, dev, 1430),
          { kind: "link", dev, up: true },
          { kind: "route", route: { dst: prefix(dst), via: addr("fd77::2"), dev: "u0" } },
          { kind: "route", route },
        ]);
        const through = (await host.routes(6)).filter((each) => each.dev === dev && each.protocol !== "kernel");
        expect(through).toEqual([route]);
      });
    }

    on("loses it with its underlay", async (host) => {
      await must(host, [device(settings), { kind: "delete-link", dev: "u0" }]);
      expect((await host.links()).map(({ name }) => name)).not.toContain("flannel.1");
    });

    on("has no settings for other kinds", async (host) => {
      expect((await link(host, "u0")).vxlan).toBeUndefined();
    });

    on("counts", async (host) => {
      await must(host, [device(settings)]);
      expect(host.linkCounters("flannel.1")).toMatchObject({ rxPackets: 0n, txBytes: 0n });
      expect(host.linkCounters("flannel.2")).toBeUndefined();
    });
  });

  describe(`${name}: neighbours and forwarding entries`, () => {
    const up: HostChange[] = [device(settings), { kind: "link", dev: "flannel.1", up: true }];

    on("sets, replaces and deletes a neighbour", async (host) => {
      await must(host, [...up, neighbour("10.5.2.0", 2), neighbour("10.5.2.0", 3), neighbour("fd05:2::", 2)]);
      expect(await neighbours(host)).toEqual([
        "10.5.2.0 0a:00:00:00:00:03 permanent",
        "fd05:2:: 0a:00:00:00:00:02 permanent",
      ]);
      const gone = { kind: "delete-neighbour", dev: "flannel.1", addr: addr("10.5.2.0") } as const;
      await must(host, [gone, gone, { ...gone, addr: addr("10.5.9.0") }]);
      expect(await neighbours(host)).not.toContain("10.5.2.0 0a:00:00:00:00:03 permanent");
    });

    on("sets, replaces and deletes a forwarding entry", async (host) => {
      await must(host, [...up, fdb(2, "198.51.100.2"), fdb(3, "198.51.100.3"), fdb(2, "198.51.100.9")]);
      expect(await entries(host)).toEqual([
        "0a:00:00:00:00:02 198.51.100.9 permanent",
        "0a:00:00:00:00:03 198.51.100.3 permanent",
      ]);
      const gone: HostChange = { kind: "delete-fdb", dev: "flannel.1", mac: mac("0a:00:00:00:00:02") };
      await must(host, [gone, gone]);
      expect(await entries(host)).toEqual(["0a:00:00:00:00:03 198.51.100.3 permanent"]);
    });

    on("has none where there is no device", async (host) => {
      expect(await host.neighbours("flannel.1")).toEqual([]);
      expect(await host.fdb("flannel.1")).toEqual([]);
    });

    on("goes on after those that are refused, and names each", async (host) => {
      const lost = (change: HostChange): HostChange => ({ ...change, dev: "gone0" }) as HostChange;
      const results = await host.apply([
        ...up,
        neighbour("10.5.2.0", 2),
        lost(neighbour("10.5.3.0", 3)),
        { kind: "delete-neighbour", dev: "flannel.1", addr: addr("10.5.77.0") },
        neighbour("10.5.4.0", 4),
        fdb(2, "198.51.100.2"),
        lost(fdb(3, "198.51.100.3")),
        { kind: "delete-fdb", dev: "gone0", mac: OWN_MAC },
        fdb(4, "198.51.100.4"),
        { kind: "route", route: { dst: prefix("10.5.4.0/24"), via: addr("10.5.4.0"), dev: "flannel.1", onlink: true } },
      ]);
      expect(results.map((result) => result?.message).filter((message) => message !== undefined)).toEqual([
        'cannot add the neighbour 10.5.3.0 with 0a:00:00:00:00:03 to gone0: Cannot find device "gone0"',
        'cannot add the FDB entry 0a:00:00:00:00:03 dst 198.51.100.3 to gone0: Cannot find device "gone0"',
      ]);
      expect(await neighbours(host)).toHaveLength(2);
      expect(await entries(host)).toHaveLength(2);
      expect(await host.routes(4)).toHaveLength(1);
    });

    on("loses neighbours, but no forwarding entries, when the device goes down", async (host) => {
      await must(host, [...up, neighbour("10.5.2.0", 2), fdb(2, "198.51.100.2")]);
      await must(host, [{ kind: "link", dev: "flannel.1", up: false }]);
      expect(await neighbours(host)).toEqual([]);
      expect(await entries(host)).toHaveLength(1);
    });
  });

  describe(`${name}: the bell`, () => {
    const changes: [kind: HostEvent["kind"], of: string, change: (host: Host, round: number) => Promise<unknown>][] = [
      ["link", "u0", (host, n) => host.apply([{ kind: "link", dev: "u0", mtu: 1400 + (n % 2) }])],
      [
        "address",
        "u0",
        (host, n) =>
          host.apply([
            { kind: n % 2 ? "delete-address" : "address", dev: "u0", address: { addr: addr("10.1.0.7"), length: 24 } },
          ]),
      ],
      [
        "route",
        "u0",
        (host, n) =>
          host.apply([{ kind: n % 2 ? "delete-route" : "route", route: { dst: prefix("10.5.2.0/24"), dev: "u0" } }]),
      ],
      ["neighbour", "u0", (host, n) => host.apply([{ ...neighbour("10.5.2.0", n % 10), dev: "u0" }])],
      ["neighbour", "flannel.1", (host, n) => host.apply([fdb(2, `198.51.100.${n % 200}`)])],
      ["nft", "ip twill-test", (host, n) => host.setNftTable("ip", "twill-test", n % 2 ? undefined : [])],
    ];
    for (const [kind, of, change] of changes) {
      on(`rings for a ${kind} of ${of}`, async (host) => {
        await must(host, [device(settings), { kind: "link", dev: "flannel.1", up: true }]);
        expect(await rings(host, { kind, of }, (n) => change(host, n))).toBe(true);
      });
    }

    on("ends when it is told to", async (host) => {
      const stop = new AbortController();
      const nothing = (): void => undefined;
      const options = { signal: stop.signal, onEvent: nothing, onTrouble: nothing, clock: systemClock };
      const watching = host.watch(options);
      stop.abort();
      await watching;
      await host.watch(options);
    });
  });
}

/** Whether the event comes while `change` is made again and again. */
export async function rings(
  host: Host,
  want: HostEvent,
  change: (round: number) => Promise<unknown>,
): Promise<boolean> {
  const stop = new AbortController();
  const seen: HostEvent[] = [];
  const watching = host.watch({
    signal: stop.signal,
    onEvent: (event) => seen.push(event),
    onTrouble: (error) => console.log(error.message),
    clock: systemClock,
  });
  const heard = (): boolean => seen.some(({ kind, of }) => kind === want.kind && of === want.of);
  // The first rounds may come before the watch listens.
  for (let round = 0; round < 100 && !heard(); round++) {
    await change(round);
    await sleep(systemClock, 20);
  }
  stop.abort();
  await watching;
  return heard();
}

const OWN_MAC = mac("0a:00:00:00:00:01");

const settings: Vxlan = {
  vni: 1,
  local: addr("198.51.100.1"),
  underlay: "u0",
  port: 8472,
  learning: false,
  gbp: false,
  others: [],
};

const underlay4: HostChange = {
  kind: "address",
  dev: "u0",
  address: { addr: addr("198.51.100.1"), length: 24 },
};

function device(vxlan: Vxlan, dev = "flannel.1", mtu = 1450): HostChange {
  return { kind: "vxlan", dev, mac: OWN_MAC, mtu, vxlan };
}

function neighbour(text: string, n: number): HostChange & { kind: "neighbour" } {
  return { kind: "neighbour", dev: "flannel.1", addr: addr(text), mac: mac(`0a:00:00:00:00:0${n}`) };
}

function fdb(n: number, dst: string): HostChange & { kind: "fdb" } {
  return { kind: "fdb", dev: "flannel.1", mac: mac(`0a:00:00:00:00:0${n}`), dst: addr(dst) };
}

async function link(host: Host, name: string): Promise<Link> {
  const found = (await host.links()).find((link) => link.name === name);
  if (!found) throw new Error(`there is no interface ${name}`);
  return found;
}

async function must(host: Host, changes: readonly HostChange[]): Promise<void> {
  expect((await host.apply(changes)).filter((result) => result)).toEqual([]);
}

async function neighbours(host: Host): Promise<string[]> {
  const rows = (await host.neighbours("flannel.1")).filter(({ permanent }) => permanent);
  return rows.map(({ addr, mac }) => `${formatAddr(addr)} ${mac ?? "?"} permanent`).toSorted();
}

async function entries(host: Host): Promise<string[]> {
  const rows = await host.fdb("flannel.1");
  return rows.map(({ mac, dst, permanent }) => `${mac} ${formatAddr(dst)}${permanent ? " permanent" : ""}`).toSorted();
}
