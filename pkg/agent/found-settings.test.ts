import { expect, test } from "vitest";
import { parseNetworkConfig } from "../subnet/network-config.ts";
import { discoveredSettings, networkSettings } from "./found-settings.ts";

const KEY = "/coreos.com/network/config";
// Names of fields count in any case, as in flannel.
const TEXT = '{"Network":"10.5.0.0/16","subnetlen":26,"Backend":{"Type":"vxlan","Port":4789}}';

test("a value that somebody wrote into etcd is told from a default", () => {
  const settings = networkSettings(parseNetworkConfig(TEXT), TEXT, KEY);
  const origin = Object.fromEntries(settings.map(({ name, value, source, from }) => [name, [value, source, from]]));
  expect(origin).toEqual({
    EnableIPv4: ["true", "default", ""],
    EnableIPv6: ["false", "default", ""],
    EnableNFTables: ["false", "default", ""],
    Network: ["10.5.0.0/16", "network-config", KEY],
    SubnetLen: ["26", "network-config", KEY],
    SubnetMin: ["10.5.0.64", "default", ""],
    SubnetMax: ["10.5.255.192", "default", ""],
    "Backend.Type": ["vxlan", "network-config", KEY],
    "Backend.VNI": ["1", "default", ""],
    "Backend.Port": ["4789", "network-config", KEY],
    "Backend.GBP": ["false", "default", ""],
    "Backend.Learning": ["false", "default", ""],
    "Backend.DirectRouting": ["false", "default", ""],
  });
});

test("before etcd has answered nobody knows which of the last run's values were written", () => {
  const sources = networkSettings(parseNetworkConfig(TEXT), undefined, KEY).map(({ from }) => from);
  expect(new Set(sources)).toEqual(new Set(["the last run; none of use was read from etcd"]));
});

test("what was found out is told with how", () => {
  const node = { id: "8d7c", name: "a" };
  const underlay = { interface: "eth0", mtu: 1500, publicIps: ["192.0.2.1", "2001:db8::1"] };
  const dataplane = { name: "tun", rung: "gso", mtus: [1450], counters: {} };
  const status = { node, underlay, dataplane } as unknown as Parameters<typeof discoveredSettings>[0];
  expect(
    discoveredSettings(status, "it carries the default route").map(({ name, value, from }) => [name, value, from]),
  ).toEqual([
    ["node-id", "8d7c", "made at the first start, kept in the state directory"],
    ["underlay interface", "eth0", "it carries the default route"],
    ["underlay MTU", "1500", "eth0"],
    ["underlay addresses", "192.0.2.1,2001:db8::1", "it carries the default route"],
    ["overlay MTU", "1450", "the underlay's less the headers"],
    ["offload in use", "gso", "tried at the start"],
  ]);
});
