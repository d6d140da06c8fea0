// What flanneld does on a node, in etcd and in the kernel, as far as others see it: done by hand, once per call, as it was
// recorded of the real one. It knows nothing of twill.

import { formatAddr } from "../../pkg/addr/addr.ts";
import { randomMac } from "../../pkg/addr/mac.ts";
import { addrAt, formatPrefix, type Prefix } from "../../pkg/addr/prefix.ts";
import type { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import type { Lease } from "../../pkg/lease/lease.ts";
import { addr, mac } from "../literals.ts";
import { putLease, readLeases } from "./kernel-peer.ts";

/** The overlay's network, from which twill's lab gives /24 subnets. */
export const NETWORK = "10.244.0.0/16";

/** flanneld with the vxlan backend on one node. */
export class FlanneldStandIn {
  readonly #lab: Lab;
  readonly #node: Node;
  #subnet: Prefix | undefined;

  constructor(lab: Lab, node: Node) {
    this.#lab = lab;
    this.#node = node;
  }

  /** Comes up: the lease with this node's address, or `wanted`; device, address, rules, subnet.env, peers. */
  async start(wanted?: Prefix): Promise<void> {
    const leases = await readLeases(this.#lab);
    const own = leases.find(({ attrs }) => attrs.publicIp[4]?.value === addr(this.#node.address).value);
    const subnet = own?.subnet[4] ?? wanted;
    if (!subnet) throw new Error(`${this.#node.name} has no lease`);
    this.#subnet = subnet;
    const vtepMac = await this.#makeDevice();
    // A new etcd lease and an unconditional put, whoever wrote the key last.
    await putLease(
      this.#lab,
      { 4: subnet },
      {
        publicIp: { 4: addr(this.#node.address) },
        backendType: "vxlan",
        vtep: { 4: { vni: 1, mac: mac(vtepMac) } },
      },
    );
    await this.#on(`ip address replace ${formatAddr(subnet)}/32 dev flannel.1`);
    await this.#on("ip link set flannel.1 up");
    await this.#setRules(subnet);
    await this.#writeSubnetEnv(subnet);
    await this.sync();
  }

  /** What its watch would tell it: a neighbour, a forwarding entry and a route for every peer. Removes nothing but routes. */
  async sync(): Promise<void> {
    const peers = (await readLeases(this.#lab)).filter(({ subnet }) => subnet[4]?.value !== this.#subnet?.value);
    const commands = peers.flatMap(programming);
    if (commands.length > 0) await this.#node.run(["sh", "-ec", commands.join("\n")]);
  }

  // A device that fits is taken as it is, with its MAC; another goes.
  async #makeDevice(): Promise<string> {
    const { netns, address } = this.#node;
    const { status, stdout } = await netns.capture(["ip", "-d", "-j", "link", "show", "flannel.1"]);
    if (status === 0) {
      const [link] = JSON.parse(stdout) as { address: string; linkinfo: { info_data: Record<string, unknown> } }[];
      const { id, port, local, learning } = link?.linkinfo.info_data ?? {};
      if (link && id === 1 && port === 8472 && local === address && learning === false) return link.address;
      await this.#on("ip link delete flannel.1");
    }
    const made = randomMac(Math.random);
    await this.#on("sysctl -qw net.ipv4.ip_forward=1");
    await this.#on(
      `ip link add flannel.1 address ${made} mtu 1450 type vxlan id 1 local ${address} dev eth0 dstport 8472 nolearning`,
    );
    return made;
  }

  // Its iptables mode, v0.28; the rules that were there are left alone.
  async #setRules(own: Prefix): Promise<void> {
    const { status } = await this.#node.netns.capture(["iptables", "-t", "nat", "-S", "FLANNEL-POSTRTG"]);
    if (status === 0) return;
    const sub = formatPrefix(own);
    await this.#node.netns.run(["iptables-restore", "--noflush"], {
      input: `*nat
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s ${sub} -d ${NETWORK} -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s ${NETWORK} -d ${sub} -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG ! -s ${NETWORK} -d ${sub} -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s ${NETWORK} ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
-A FLANNEL-POSTRTG ! -s ${NETWORK} -d ${NETWORK} -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
COMMIT
*filter
:FLANNEL-FWD - [0:0]
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A FLANNEL-FWD -s ${NETWORK} -m comment --comment "flanneld forward" -j ACCEPT
-A FLANNEL-FWD -d ${NETWORK} -m comment --comment "flanneld forward" -j ACCEPT
COMMIT
`,
    });
  }

  async #writeSubnetEnv(own: Prefix): Promise<void> {
    const text = [
      `FLANNEL_NETWORK=${NETWORK}`,
      `FLANNEL_SUBNET=${formatAddr(addrAt(own, 1n))}/${own.length}`,
      "FLANNEL_MTU=1450",
      "FLANNEL_IPMASQ=true",
      "",
    ].join("\n");
    await this.#node.netns.run(["tee", this.#node.subnetFile], { input: text });
  }

  async #on(command: string): Promise<void> {
    await this.#node.run(command.split(" "));
  }
}

function programming({ subnet, attrs }: Lease): string[] {
  const [net, vtep, publicIp] = [subnet[4], attrs.vtep[4], attrs.publicIp[4]];
  if (!net || !vtep || !publicIp || attrs.backendType !== "vxlan") return [];
  const first = formatAddr(net);
  return [
    `ip neigh replace ${first} lladdr ${vtep.mac} dev flannel.1 nud permanent`,
    `bridge fdb replace ${vtep.mac} dst ${formatAddr(publicIp)} dev flannel.1 self permanent`,
    `ip route replace ${formatPrefix(net)} via ${first} dev flannel.1 onlink`,
  ];
}
