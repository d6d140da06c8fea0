import { expect, test } from "vitest";
import { convertResult, fillGateways, mergeResults } from "./result.ts";
import { chooseVersion, SUPPORTED_VERSIONS } from "./version.ts";

const V110 = {
  cniVersion: "1.1.0",
  interfaces: [
    { name: "cni0", mac: "7a:34:d2:ef:ac:67", mtu: 1450 },
    { name: "eth0", mac: "ee:2e:74:65:15:fc", sandbox: "/run/netns/c1", mtu: 1450, pciID: "0", socketPath: "/s" },
  ],
  ips: [
    { interface: 1, address: "10.5.1.2/24", gateway: "10.5.1.1" },
    { interface: 1, address: "fd05::2/64", gateway: "fd05::1" },
  ],
  routes: [{ dst: "10.5.0.0/16", gw: "10.5.1.1", mtu: 1400, table: 5 }, { dst: "::/0" }],
  dns: { nameservers: ["10.5.0.10"] },
};
const V100 = {
  ...V110,
  cniVersion: "1.0.0",
  interfaces: [
    { name: "cni0", mac: "7a:34:d2:ef:ac:67" },
    { name: "eth0", mac: "ee:2e:74:65:15:fc", sandbox: "/run/netns/c1" },
  ],
  routes: [{ dst: "10.5.0.0/16", gw: "10.5.1.1" }, { dst: "::/0" }],
};
const V040 = {
  ...V100,
  cniVersion: "0.4.0",
  ips: [
    { version: "4", interface: 1, address: "10.5.1.2/24", gateway: "10.5.1.1" },
    { version: "6", interface: 1, address: "fd05::2/64", gateway: "fd05::1" },
  ],
};
const V020 = {
  cniVersion: "0.2.0",
  ip4: { ip: "10.5.1.2/24", gateway: "10.5.1.1", routes: [{ dst: "10.5.0.0/16", gw: "10.5.1.1" }] },
  ip6: { ip: "fd05::2/64", gateway: "fd05::1", routes: [{ dst: "::/0" }] },
  dns: { nameservers: ["10.5.0.10"] },
};
const at = (result: object, cniVersion: string): object => ({ ...result, cniVersion });

const conversions = [
  { name: "1.1.0 to 1.0.0 loses what is new", from: V110, to: "1.0.0", gives: V100 },
  { name: "1.0.0 to 1.1.0 invents nothing", from: V100, to: "1.1.0", gives: at(V100, "1.1.0") },
  { name: "1.1.0 to 0.4.0 names the families", from: V110, to: "0.4.0", gives: V040 },
  { name: "0.4.0 to 1.1.0 drops them again", from: V040, to: "1.1.0", gives: at(V100, "1.1.0") },
  { name: "0.4.0 to 0.3.1", from: V040, to: "0.3.1", gives: at(V040, "0.3.1") },
  { name: "1.0.0 to 0.2.0 keeps addresses and routes", from: V100, to: "0.2.0", gives: V020 },
  { name: "0.2.0 to 0.1.0", from: V020, to: "0.1.0", gives: at(V020, "0.1.0") },
  {
    name: "0.2.0 to 1.0.0 has no interfaces to tell",
    from: V020,
    to: "1.0.0",
    gives: {
      cniVersion: "1.0.0",
      ips: [
        { address: "10.5.1.2/24", gateway: "10.5.1.1" },
        { address: "fd05::2/64", gateway: "fd05::1" },
      ],
      routes: V100.routes,
      dns: V100.dns,
    },
  },
];
for (const c of conversions) {
  test(`converted: ${c.name}`, () => {
    expect(convertResult(c.from, c.to)).toEqual(c.gives);
  });
}

test("the same version is handed on untouched, with fields that we do not know", () => {
  const result = { cniVersion: "1.0.0", vendor: { x: 1 } };
  expect(convertResult(result, "1.0.0")).toBe(result);
});

test("a chain's result is both, with the indices of the later one moved", () => {
  const merged = mergeResults(
    {
      cniVersion: "1.1.0",
      interfaces: [{ name: "a" }],
      ips: [{ address: "1.1.1.1/8", interface: 0 }],
      dns: { domain: "d" },
    },
    {
      cniVersion: "1.1.0",
      interfaces: [{ name: "b" }],
      ips: [{ address: "2.2.2.2/8", interface: 0 }, { address: "::1/128" }],
    },
  );
  expect(merged).toEqual({
    cniVersion: "1.1.0",
    interfaces: [{ name: "a" }, { name: "b" }],
    ips: [{ address: "1.1.1.1/8", interface: 0 }, { address: "2.2.2.2/8", interface: 1 }, { address: "::1/128" }],
    routes: [],
    dns: { domain: "d" },
  });
});

test("a route without a gateway gets that of its family's address, where there is one", () => {
  const ips = [{ address: "10.5.1.2/24", gateway: "10.5.1.1" }, { address: "fd05::2/64" }];
  const routes = [{ dst: "10.5.0.0/16" }, { dst: "0.0.0.0/0", gw: "10.5.1.9" }, { dst: "fd05::/56" }];
  expect(fillGateways({ ips, routes })).toEqual({
    ips,
    routes: [{ dst: "10.5.0.0/16", gw: "10.5.1.1" }, { dst: "0.0.0.0/0", gw: "10.5.1.9" }, { dst: "fd05::/56" }],
  });
});

const DEBIAN_12 = SUPPORTED_VERSIONS.filter((version) => version !== "1.1.0");
const choices = [
  { name: "the netconf's own", wanted: "0.3.1", theirs: DEBIAN_12, gives: "0.3.1" },
  { name: "the newest of an older plugin", wanted: "1.1.0", theirs: DEBIAN_12, gives: "1.0.0" },
  {
    name: "the newest common one of a plugin that has dropped the old ones",
    wanted: "0.3.1",
    theirs: ["1.0.0", "1.1.0", "2.0.0"],
    gives: "1.1.0",
  },
  { name: "no cniVersion is 0.1.0 and stays unsaid", wanted: "", theirs: ["0.1.0"], gives: "" },
  { name: "nothing in common", wanted: "1.0.0", theirs: ["2.0.0"], gives: undefined },
];
for (const c of choices) {
  test(`a delegate is called at: ${c.name}`, () => {
    expect(chooseVersion(c.wanted, c.theirs)).toBe(c.gives);
  });
}
