import { expect, test } from "vitest";
import { parseInterfaceAddr, parsePrefix } from "../addr/prefix.ts";
import { type PodNetwork, renderDelegate } from "./delegate-conf.ts";
import { CODE, CniError } from "./error.ts";
import { canonicalJson } from "./json.ts";
import { parseNetConf } from "./netconf.ts";

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("a fixture does not parse");
  return value;
}

const V4: PodNetwork = {
  network: { 4: [given(parsePrefix("10.5.0.0/16"))] },
  subnet: { 4: given(parseInterfaceAddr("10.5.78.1/24")) },
  mtu: 1450,
  ipMasq: true,
};
const DUAL: PodNetwork = {
  ...V4,
  network: { ...V4.network, 6: [given(parsePrefix("fd05::/56"))] },
  subnet: { ...V4.subnet, 6: given(parseInterfaceAddr("fd05:0:0:1b::1/64")) },
};

const render = (conf: object, net: PodNetwork = V4): string =>
  canonicalJson(renderDelegate(parseNetConf(JSON.stringify({ name: "cbr0", ...conf })), net));

test("the common netconf is rendered byte for byte as flannel's plugin does", () => {
  const conf = {
    cniVersion: "0.3.1",
    ipam: { routes: [{ dst: "10.96.0.0/12" }] },
    delegate: { hairpinMode: true, isDefaultGateway: true },
  };
  expect(render(conf, DUAL)).toBe(
    '{"cniVersion":"0.3.1","hairpinMode":true,"ipMasq":false,"ipam":{"ranges":[[{"subnet":"10.5.78.0/24"}],[{"subnet":"fd05:0:0:1b::/64"}]],"routes":[{"dst":"10.96.0.0/12"},{"dst":"10.5.0.0/16"},{"dst":"fd05::/56"}],"type":"host-local"},"isDefaultGateway":true,"isGateway":true,"mtu":1450,"name":"cbr0","type":"bridge"}',
  );
});

const rendered = [
  {
    name: "no cniVersion: none is made up",
    conf: {},
    says: '{"ipMasq":false,"ipam":{"ranges":[[{"subnet":"10.5.78.0/24"}]],"routes":[{"dst":"10.5.0.0/16"}],"type":"host-local"},"isGateway":true,"mtu":1450,"name":"cbr0","type":"bridge"}',
  },
  {
    name: "what the user wrote under delegate stays",
    conf: { delegate: { mtu: 900, ipMasq: true, isGateway: false, bridge: "br9" } },
    says: '{"bridge":"br9","ipMasq":true,"ipam":{"ranges":[[{"subnet":"10.5.78.0/24"}]],"routes":[{"dst":"10.5.0.0/16"}],"type":"host-local"},"isGateway":false,"mtu":900,"name":"cbr0","type":"bridge"}',
  },
  {
    name: "another plugin gets no isGateway",
    conf: { delegate: { type: "ptp" } },
    says: '{"ipMasq":false,"ipam":{"ranges":[[{"subnet":"10.5.78.0/24"}]],"routes":[{"dst":"10.5.0.0/16"}],"type":"host-local"},"mtu":1450,"name":"cbr0","type":"ptp"}',
  },
  {
    name: "ipam keeps its keys, but the ranges are the lease's",
    conf: { ipam: { type: "static", dataDir: "/d", ranges: [[{ subnet: "1.2.3.0/24" }]] } },
    says: '{"ipMasq":false,"ipam":{"dataDir":"/d","ranges":[[{"subnet":"10.5.78.0/24"}]],"routes":[{"dst":"10.5.0.0/16"}],"type":"static"},"isGateway":true,"mtu":1450,"name":"cbr0","type":"bridge"}',
  },
  {
    name: "runtimeConfig is handed on",
    conf: { runtimeConfig: { ips: ["10.5.78.9/24"] }, delegate: { runtimeConfig: { ips: [] } } },
    says: '{"ipMasq":false,"ipam":{"ranges":[[{"subnet":"10.5.78.0/24"}]],"routes":[{"dst":"10.5.0.0/16"}],"type":"host-local"},"isGateway":true,"mtu":1450,"name":"cbr0","runtimeConfig":{"ips":["10.5.78.9/24"]},"type":"bridge"}',
  },
];
for (const c of rendered) {
  test(`rendered: ${c.name}`, () => {
    expect(render(c.conf)).toBe(c.says);
  });
}

test("without masquerade by the agent the bridge does it; several networks are several routes; IPv6 stands alone", () => {
  const net: PodNetwork = {
    network: { 6: [given(parsePrefix("fd05::/56")), given(parsePrefix("fd06::/56"))] },
    subnet: { 6: given(parseInterfaceAddr("fd05:0:0:1b::1/64")) },
    mtu: 1430,
    ipMasq: false,
  };
  expect(render({}, net)).toBe(
    '{"ipMasq":true,"ipam":{"ranges":[[{"subnet":"fd05:0:0:1b::/64"}]],"routes":[{"dst":"fd05::/56"},{"dst":"fd06::/56"}],"type":"host-local"},"isGateway":true,"mtu":1430,"name":"cbr0","type":"bridge"}',
  );
});

const refused = [
  {
    name: "a name of the delegate's own",
    conf: { delegate: { name: "x" } },
    code: CODE.unsupportedField,
    says: /must not have "name" \("x"\)/,
  },
  {
    name: "ipam in the wrong place",
    conf: { delegate: { ipam: { type: "dhcp" } } },
    code: CODE.unsupportedField,
    says: /"ipam" \(\{"type":"dhcp"\}\); write it beside "delegate"/,
  },
  {
    name: "a type that is a number",
    conf: { delegate: { type: 3 } },
    code: CODE.badConfig,
    says: /"delegate.type" is 3/,
  },
  {
    name: "a type that is a path",
    conf: { delegate: { type: "../bridge" } },
    code: CODE.badConfig,
    says: /"\.\.\/bridge", not a plugin's name/,
  },
  { name: "ourselves", conf: { delegate: { type: "twill" } }, code: CODE.badConfig, says: /cannot delegate to itself/ },
  {
    name: "routes that are no list",
    conf: { ipam: { routes: "10.0.0.0/8" } },
    code: CODE.badConfig,
    says: /"ipam.routes" is "10/,
  },
];
for (const c of refused) {
  test(`refused with code ${c.code}: ${c.name}`, () => {
    expect(() => render(c.conf)).toThrow(c.says);
    expect(() => render(c.conf)).toThrow(expect.objectContaining({ code: c.code }) as CniError);
  });
}
