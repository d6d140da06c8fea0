import { formatAddr } from "../addr/addr.ts";
import { formatInterfaceAddr } from "../addr/prefix.ts";

import { type HostChange, HostError } from "./host.ts";
import { formatRoute } from "./route.ts";

/** "add the route 10.5.2.0/24 via 10.5.2.0 dev flannel.1", for "cannot ...". */
export function describeChange(change: HostChange): string {
  switch (change.kind) {
    case "link":
      return `set up the link ${change.dev}`;
    case "vxlan":
      return `make the VXLAN device ${change.dev}`;
    case "change-vxlan":
      return `change the VXLAN device ${change.dev}`;
    case "delete-link":
      return `delete the link ${change.dev}`;
    case "address":
      return `add the address ${formatInterfaceAddr(change.address)} to ${change.dev}`;
    case "delete-address":
      return `delete the address ${formatInterfaceAddr(change.address)} from ${change.dev}`;
    case "route":
      return `add the route ${formatRoute(change.route)}`;
    case "delete-route":
      return `delete the route ${formatRoute(change.route)}`;
    case "neighbour":
      return `add the neighbour ${formatAddr(change.addr)} with ${change.mac} to ${change.dev}`;
    case "delete-neighbour":
      return `delete the neighbour ${formatAddr(change.addr)} from ${change.dev}`;
    case "fdb":
      return `add the FDB entry ${change.mac} dst ${formatAddr(change.dst)} to ${change.dev}`;
    case "delete-fdb":
      return `delete the FDB entry ${change.mac} from ${change.dev}`;
  }
}

/** Why the change cannot be asked for at all: a device in it could not be the name of an interface. */
export function invalidDevice(change: HostChange): HostError | undefined {
  // net/core/dev.c, dev_valid_name; beyond that, `ip -batch` splits at white space and knows quotes and comments.
  const devs = ["route" in change ? change.route.dev : change.dev];
  if ("vxlan" in change && change.vxlan.underlay !== undefined) devs.push(change.vxlan.underlay);
  const bad = devs.find((dev) => !/^[^\s/:"'\\#]{1,15}$/.test(dev) || dev === "." || dev === "..");
  if (bad === undefined) return undefined;
  return new HostError(`cannot ${describeChange(change)}: ${JSON.stringify(bad)} is not the name of an interface`);
}
