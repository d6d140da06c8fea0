import { formatInterfaceAddr } from "../addr/prefix.ts";

import { type HostChange, HostError } from "./host.ts";
import { formatRoute } from "./route.ts";

/** "add the route 10.5.2.0/24 via 10.5.2.0 dev flannel.1", for "cannot ...". */
export function describeChange(change: HostChange): string {
  switch (change.kind) {
    case "link":
      return `set up the link ${change.dev}`;
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
  }
}

/** Why the change cannot be asked for at all: its device could not be the name of an interface. */
export function invalidDevice(change: HostChange): HostError | undefined {
  // net/core/dev.c, dev_valid_name; beyond that, `ip -batch` splits at white space and knows quotes and comments.
  const dev = "route" in change ? change.route.dev : change.dev;
  if (/^[^\s/:"'\\#]{1,15}$/.test(dev) && dev !== "." && dev !== "..") return undefined;
  return new HostError(`cannot ${describeChange(change)}: ${JSON.stringify(dev)} is not the name of an interface`);
}
