import { expect, test } from "vitest";

import { vxlanHostContract } from "../../test/contract/host-vxlan.ts";
import { type HostUnderTest, hostContract } from "../../test/contract/host.ts";

import { HostError } from "./host.ts";
import { MemoryHost } from "./memory-host.ts";

const make = async (): Promise<HostUnderTest> => {
  const host = new MemoryHost();
  host.addLink({ name: "u0", up: true });
  return { host, close: async () => undefined };
};
hostContract("MemoryHost", make);
vxlanHostContract("MemoryHost", make);

test("failNext makes the next change of that kind fail, and only that", async () => {
  const host = new MemoryHost();
  host.addLink({ name: "u0", up: true });
  host.failNext("link", "Device or resource busy");
  const change = { kind: "link", dev: "u0", mtu: 1400 } as const;
  const results = await host.apply([change, change]);
  expect(results.map((result) => result?.message)).toEqual([
    "cannot set up the link u0: Device or resource busy",
    undefined,
  ]);
  expect(host.applied).toEqual([change]);
});

test("failNext makes the other writing methods fail", async () => {
  const host = new MemoryHost();
  host.failNext("setSysctl", "/proc/sys is read-only");
  await expect(host.setSysctl("net/ipv4/ip_forward", "1")).rejects.toThrow(
    "cannot set the sysctl net/ipv4/ip_forward to 1: /proc/sys is read-only",
  );
  host.failNext("setNftTable", "Operation not permitted");
  await expect(host.setNftTable("ip", "twill", [])).rejects.toThrow("nftables table ip twill: Operation not permitted");
  expect(await host.nftTable("ip", "twill")).toBeUndefined();
});

test("failNext makes readings fail", async () => {
  const host = new MemoryHost();
  host.failNext("routes", "Operation not permitted", 2);
  await expect(host.routes(4)).rejects.toThrow("ip route show failed: Operation not permitted");
  await expect(host.routes(6)).rejects.toThrow(HostError);
  expect(await host.routes(4)).toEqual([]);
});
