import type { Addr } from "../addr/addr.ts";
import type { PerFamily } from "../addr/family.ts";

/** The network between the nodes as this node sees it: one interface and the addresses that peers reach us at. */
export interface Underlay {
  /** The interface, "eth0". */
  readonly name: string;
  readonly index: number;
  readonly mtu: number;
  /** The interface's own addresses: what we bind to. */
  readonly addr: PerFamily<Addr>;
  /** What goes into our lease; differs from `addr` behind one-to-one NAT (`--public-ip`). */
  readonly publicIp: PerFamily<Addr>;
}
