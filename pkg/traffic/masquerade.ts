import { type Addr, formatAddr } from "../addr/addr.ts";
import type { Family } from "../addr/family.ts";
import { type Prefix, parsePrefix } from "../addr/prefix.ts";
import type { NftChain } from "../host/host.ts";

// What leaves this node with its source address rewritten, and what does not. With NET the pod network and SUB our own
// subnet, in flannel's order (iptables mode of v0.28); the first rule that matches decides:
//
//   1  mark 0x4000 set            leave   kube-proxy has marked it and masquerades by itself; by mask, since other bits
//                                         of the mark belong to others
//   2  from SUB to NET            leave   our pods to all pods: no NAT between pods
//   3  from NET to SUB            leave   all pods to ours: no NAT between pods
//   4  from outside NET to SUB    leave   this node's own processes, and whatever is routed through it, to our pods
//   5  from NET, not multicast    rewrite our pods to the world, which has no route back to them; also to other nodes'
//                                         own addresses
//   6  from outside NET to NET    rewrite to pods on other nodes, from an address that is not of NET: those nodes know
//                                         the way back only to NET. A process on this node that has not bound itself to
//                                         an address leaves with our overlay address and falls under rule 2
//
// Rule 4 comes before rule 6 and names SUB: were it NET, it would hide rule 6.

const KUBE_PROXY_MARK = 0x4000;
const SRCNAT = 100; // NF_IP_PRI_NAT_SRC, include/uapi/linux/netfilter_ipv4.h
const PROTOCOL = { 4: "ip", 6: "ip6" } as const;
const MULTICAST = { 4: "224.0.0.0/4", 6: "ff00::/8" } as const;

/** The chain that masquerades for one family. `randomFully` picks source ports at random, as flannel does by default. */
export function masqueradeChain(network: Prefix, own: Prefix, randomFully: boolean): NftChain {
  const { family } = network;
  const multicast = parsePrefix(MULTICAST[family]) ?? network;
  const leave = { return: null };
  const masquerade = { masquerade: randomFully ? { flags: "fully-random" } : null };
  return {
    name: "masquerade",
    type: "nat",
    hook: "postrouting",
    priority: SRCNAT,
    rules: [
      [markSet(KUBE_PROXY_MARK), leave],
      [is(family, "saddr", own), is(family, "daddr", network), leave],
      [is(family, "saddr", network), is(family, "daddr", own), leave],
      [isNot(family, "saddr", network), is(family, "daddr", own), leave],
      [is(family, "saddr", network), isNot(family, "daddr", multicast), masquerade],
      [isNot(family, "saddr", network), is(family, "daddr", network), masquerade],
    ],
  };
}

function is(family: Family, field: "saddr" | "daddr", prefix: Prefix): object {
  return match("==", { payload: { protocol: PROTOCOL[family], field } }, inPrefix(prefix));
}

function isNot(family: Family, field: "saddr" | "daddr", prefix: Prefix): object {
  return match("!=", { payload: { protocol: PROTOCOL[family], field } }, inPrefix(prefix));
}

function markSet(bit: number): object {
  return match("==", { "&": [{ meta: { key: "mark" } }, bit] }, bit);
}

function match(op: "==" | "!=", left: object, right: object | number): object {
  return { match: { op, left, right } };
}

function inPrefix(prefix: Prefix): object {
  const addr: Addr = prefix;
  return { prefix: { addr: formatAddr(addr), len: prefix.length } };
}
