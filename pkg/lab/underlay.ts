import type { Namespaces } from "./namespaces.ts";
import type { Netns } from "./netns.ts";

const BRIDGE = "br0";
// Every lab has its underlay to itself, so all of them use the same addresses.
const PREFIX_LENGTH = 16;
const PREFIX6_LENGTH = 64;

/** Where etcd listens: the bridge's own address. */
export const UNDERLAY_ADDRESS = "172.31.0.1";
const UNDERLAY_ADDRESS6 = "fd00:31::1";

/** The most nodes one underlay has addresses for. */
export const MOST_NODES = 250;

/** A network namespace on the underlay with `eth0`, addresses of both families and a default route: a machine, so to say. */
export interface UnderlayHost {
  readonly name: string;
  readonly netns: Netns;
  readonly address: string;
  readonly address6: string;
}

/** The bridge that joins the nodes, in the lab's first network namespace. */
export class Underlay {
  readonly #namespaces: Namespaces;
  readonly #mtu: number;
  #hosts = 0;

  private constructor(namespaces: Namespaces, mtu: number) {
    this.#namespaces = namespaces;
    this.#mtu = mtu;
  }

  static async open(namespaces: Namespaces, mtu: number): Promise<Underlay> {
    await namespaces.underlay.run(["ip", "-batch", "-"], {
      input: `
        link add ${BRIDGE} type bridge
        addr add ${UNDERLAY_ADDRESS}/${PREFIX_LENGTH} dev ${BRIDGE}
        addr add ${UNDERLAY_ADDRESS6}/${PREFIX6_LENGTH} dev ${BRIDGE} nodad
        link set ${BRIDGE} mtu ${mtu} up`,
    });
    return new Underlay(namespaces, mtu);
  }

  /** Adds a machine. They are numbered in the order in which they are added: 172.31.1.1 is the first. */
  async addHost(name: string): Promise<UnderlayHost> {
    const index = ++this.#hosts;
    if (index > MOST_NODES) throw new RangeError(`the lab has addresses for ${MOST_NODES} nodes`);
    const address = `172.31.1.${index}`;
    const address6 = `fd00:31::1:${index.toString(16)}`;
    const netns = await this.#namespaces.add(name);
    // The port's name on the bridge is the host's, so that faults can be set with `tc` and `ip link` by name.
    await this.#namespaces.underlay.run(["ip", "-batch", "-"], {
      input: `
        link add ${name} mtu ${this.#mtu} type veth peer name eth0 mtu ${this.#mtu} netns ${name}
        link set ${name} master ${BRIDGE} up`,
    });
    await netns.run(["ip", "-batch", "-"], {
      input: `
        addr add ${address}/${PREFIX_LENGTH} dev eth0
        addr add ${address6}/${PREFIX6_LENGTH} dev eth0 nodad
        link set eth0 up
        route add default via ${UNDERLAY_ADDRESS}
        route add default via inet6 ${UNDERLAY_ADDRESS6}`,
    });
    return { name, netns, address, address6 };
  }
}
