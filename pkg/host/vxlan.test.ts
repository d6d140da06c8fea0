import { describe, expect, test } from "vitest";

import { addr } from "../../test/literals.ts";
import { readVxlan, type VxlanData } from "./vxlan.ts";

// `linkinfo.info_data` of a device as we make it: iproute2 6.1 on Linux 6.12, and iproute2 7.1 on Linux 6.18.
const OLD =
  '{"id":1,"local":"198.51.100.1","link":"u0","port_range":{"low":0,"high":0},"port":8472,"learning":false,"ttl":0,' +
  '"df":"unset","ageing":300,"udp_csum":true,"udp_zero_csum6_tx":false,"udp_zero_csum6_rx":false}';
const NEW =
  '{"id":1,"local":"198.51.100.1","link":"u0","port_range":{"low":0,"high":0},"port":8472,"ttl":0,"df":"unset",' +
  '"ageing":300,"reserved_bits":"0xf7ffffff000000ff","external":false,"vnifilter":false,"learning":false,' +
  '"proxy":false,"rsc":false,"l2miss":false,"l3miss":false,"udp_csum":true,"udp_zero_csum6_tx":false,' +
  '"udp_zero_csum6_rx":false,"remcsum_tx":false,"remcsum_rx":false,"localbypass":true,"mcroute":false}';

const ours = {
  vni: 1,
  local: addr("198.51.100.1"),
  underlay: "u0",
  port: 8472,
  learning: false,
  gbp: false,
  others: [],
};

describe.each([
  ["iproute2 6.1", OLD],
  ["iproute2 7.1", NEW],
])("as %s prints it", (_, text) => {
  const plain = JSON.parse(text) as VxlanData;

  test("a plain device has no foreign setting", () => {
    expect(readVxlan(plain)).toEqual(ours);
  });

  test.each([
    ["a flag that is true", { gbp: true }],
    ["a flag that is there", { gbp: null, reserved_bits: "0x77000000000000ff" }],
  ])("group policy is %s", (_, changes) => {
    expect(readVxlan({ ...plain, ...changes })).toEqual({ ...ours, gbp: true });
  });

  test.each([
    [{ group: "239.1.1.1" }, "group 239.1.1.1"],
    [{ group6: "ff02::1" }, "group6 ff02::1"],
    [{ remote: "198.51.100.9" }, "remote 198.51.100.9"],
    [{ remote6: "fd77::9" }, "remote6 fd77::9"],
    [{ port_range: { low: 1000, high: 2000 } }, "port_range {low:1000,high:2000}"],
    [{ tos: "0x1" }, "tos 0x1"],
    [{ ttl: 5 }, "ttl 5"],
    [{ df: "set" }, "df set"],
    [{ label: "0x5" }, "label 0x5"],
    [{ ageing: 60 }, "ageing 60"],
    [{ limit: 7 }, "limit 7"],
    [{ external: true }, "external"],
    [{ vnifilter: true }, "vnifilter"],
    [{ proxy: true }, "proxy"],
    [{ rsc: true }, "rsc"],
    [{ l2miss: true }, "l2miss"],
    [{ l3miss: true }, "l3miss"],
    [{ udp_csum: false }, "noudpcsum"],
    [{ udp_zero_csum6_tx: true }, "udp_zero_csum6_tx"],
    [{ udp_zero_csum6_rx: true }, "udp_zero_csum6_rx"],
    [{ remcsum_tx: true }, "remcsum_tx"],
    [{ remcsum_rx: true }, "remcsum_rx"],
    [{ mcroute: true }, "mcroute"],
    [{ gpe: true }, "gpe"],
    [{ gpe: null }, "gpe"],
  ])("%j is a foreign setting", (changes, other) => {
    expect(readVxlan({ ...plain, ...changes }).others).toEqual([other]);
  });

  test("what we do not know is none", () => {
    expect(readVxlan({ ...plain, shiny: true, colour: "red", depth: { low: 1 }, there: null }).others).toEqual([]);
  });
});
