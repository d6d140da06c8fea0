import { expect, test } from "vitest";
import { parseNetworkConfig } from "../subnet/network-config.ts";
import { formatNetworkConfig } from "./network-text.ts";

const configs = [
  { name: "IPv4 with defaults", text: '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}' },
  {
    name: "dual stack with every field",
    text: `{"EnableIPv6":true,"EnableNFTables":true,"Network":"10.5.0.0/16","SubnetLen":26,"SubnetMin":"10.5.1.0",
      "SubnetMax":"10.5.9.0","IPv6Network":"fd05::/48","IPv6SubnetLen":64,"IPv6SubnetMin":"fd05:0:0:1::",
      "IPv6SubnetMax":"fd05:0:0:ff::","Backend":{"Type":"vxlan","VNI":7,"Port":4789,"MTU":1400}}`,
  },
  {
    name: "IPv6 only",
    text: '{"EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"fd05::/48","Backend":{"Type":"vxlan"}}',
  },
  { name: "host-gw", text: '{"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}}' },
];
for (const { name, text } of configs) {
  test(`${name} reads back as the same value`, () => {
    const config = parseNetworkConfig(text);
    expect(parseNetworkConfig(formatNetworkConfig(config))).toEqual(config);
  });
}

test("a default that is written out is no difference, another value is", () => {
  const short = parseNetworkConfig('{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}');
  const long = parseNetworkConfig('{"Network":"10.5.0.0/16","SubnetLen":24,"Backend":{"Type":"VXLAN","VNI":1}}');
  const other = parseNetworkConfig('{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":2}}');
  expect(formatNetworkConfig(short)).toBe(formatNetworkConfig(long));
  expect(formatNetworkConfig(short)).not.toBe(formatNetworkConfig(other));
});
