import type { Table, TableRow } from "../../pkg/dataplane/tun/forwarding-table.ts";
import { addr, mac, prefix } from "../literals.ts";

/** A node with both families, as flannel's dual stack has it, and peers .2 to .7 of either family. */
export function fuzzTable(strict: boolean): Table {
  const rows: TableRow[] = [2, 3, 4, 5, 6, 7].flatMap((n, i) => [
    {
      slot: i * 2,
      family: 4,
      subnet: prefix(`10.5.${n}.0/24`),
      publicIp: addr(`172.30.77.${n}`),
      mac: mac(`0e:00:00:00:04:0${n}`),
    },
    {
      slot: i * 2 + 1,
      family: 6,
      subnet: prefix(`fd05:0:0:${n}::/64`),
      publicIp: addr(`fd77::${n}`),
      mac: mac(`0e:00:00:00:06:0${n}`),
    },
  ]);
  return {
    vni: 1,
    port: 8472,
    strict,
    network: { 4: prefix("10.5.0.0/16"), 6: prefix("fd05::/56") },
    ownSubnet: { 4: prefix("10.5.1.0/24"), 6: prefix("fd05:0:0:1::/64") },
    ownMac: { 4: mac("0e:00:00:00:04:01"), 6: mac("0e:00:00:00:06:01") },
    mtu: { 4: 1450, 6: 1430 },
    ownAddrs: [addr("172.30.77.1"), addr("fd77::1"), addr("192.168.9.9")],
    rows,
  };
}
