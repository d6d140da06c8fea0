import type { HostEvent } from "../host/host.ts";
import type { Scope } from "./reconcile.ts";

/** What is worth a look after something has changed on the host; undefined: nothing of ours can be concerned. */
export function scopeOf({ kind, of }: HostEvent): Scope | undefined {
  switch (kind) {
    case "link":
    case "address":
    case "route":
      return "host";
    case "neighbour":
      // Those of other interfaces come and go all the time, and none is ours.
      return of.startsWith("flannel") ? "host" : undefined;
    case "sysctl":
      return "host";
    case "nft":
      // Our tables, and iptables-nft's, which the forward accepts are in. Others are busy where kube-proxy is.
      return /^ip6? (twill\S*|filter)$/.test(of) ? "all" : undefined;
    case "iptables":
    case "gap":
      return "all";
  }
}
