import { expect, test } from "vitest";
import { addr } from "../../test/literals.ts";
import type { LinkAddr } from "../host/host.ts";
import { MemoryHost } from "../host/memory-host.ts";
import { setForwarding } from "./forwarding.ts";

const RA = (dev: string): string => `net/ipv6/conf/${dev}/accept_ra`;

function makeHost(): MemoryHost {
  const host = new MemoryHost();
  const address = {
    addr: addr("2001:db8::1"),
    length: 64,
    scope: "global",
    deprecated: false,
    temporary: false,
  } as const;
  const dynamic: LinkAddr = { ...address, dynamic: true };
  const fixed: LinkAddr = { ...address, addr: addr("2001:db8:1::1"), dynamic: false };
  host.addLink({ name: "eth0", up: true });
  host.addLink({ name: "eth1", up: true, addresses: [dynamic] });
  host.addLink({ name: "docker0", up: true, addresses: [fixed] });
  return host;
}

test("only the families of the network are forwarded", async () => {
  const host = makeHost();
  expect(await setForwarding(host, [4], "eth0")).toEqual([]);
  expect(await host.sysctl("net/ipv4/ip_forward")).toBe("1");
  expect(await host.sysctl("net/ipv6/conf/all/forwarding")).toBe("0");
  expect(await host.sysctl(RA("eth0"))).toBe("1");
});

test("router advertisements stay in force on the underlay and where an address came by one", async () => {
  const host = makeHost();
  expect(await setForwarding(host, [4, 6], "eth0")).toEqual([]);
  expect(await host.sysctl("net/ipv6/conf/all/forwarding")).toBe("1");
  expect([await host.sysctl(RA("eth0")), await host.sysctl(RA("eth1")), await host.sysctl(RA("docker0"))]).toEqual([
    "2",
    "2",
    "1",
  ]);
});

test("a host that forwards already, or takes no advertisements, is left as it is", async () => {
  const forwards = makeHost();
  forwards.sysctls.set("net/ipv6/conf/all/forwarding", "1");
  await setForwarding(forwards, [6], "eth0");
  expect(await forwards.sysctl(RA("eth0"))).toBe("1");
  const deaf = makeHost();
  deaf.sysctls.set(RA("eth0"), "0");
  await setForwarding(deaf, [6], "eth0");
  expect(await deaf.sysctl(RA("eth0"))).toBe("0");
});

test("what cannot be set is told and does not stop the rest", async () => {
  const host = makeHost();
  host.failNext("setSysctl", "/proc/sys is read-only here");
  expect(await setForwarding(host, [4, 6], "eth0")).toEqual([
    "cannot set the sysctl net/ipv4/ip_forward to 1: /proc/sys is read-only here",
  ]);
  expect(await host.sysctl("net/ipv6/conf/all/forwarding")).toBe("1");
});
