import { type Addr, formatAddr, sameAddr } from "../addr/addr.ts";
import { parseJsonObject } from "../lease/json-object.ts";
import { Lock } from "../base/lock.ts";
import { type Entry, type Registry, RegistryUnavailableError } from "./registry.ts";
import { writeUnder } from "./write-under.ts";

/** How a node is told from others: the id is made once and kept, the name is for people. */
export interface Node {
  readonly id: string;
  readonly name: string;
}

/** Another live node has our public address. */
export class PublicIpInUseError extends Error {
  override readonly name = "PublicIpInUseError";
}

// Seconds. A node that died without a word is taken for alive for this long.
const SESSION_TTL = 30;

/** The key that says who is alive at a public address. */
export function sessionKey(publicIp: Addr): string {
  return `twill/nodes/${formatAddr(publicIp)}`;
}

/**
 * The claim of a live node on its public address: a key that exists only while somebody keeps it alive. Since flannel
 * takes the public address for the node's identity, this is what keeps two nodes apart that were given the same one;
 * every write to a lease happens under it.
 */
export class Session {
  readonly #registry: Registry;
  readonly #node: Node;
  readonly #lock = new Lock();
  #held: { readonly publicIp: Addr; readonly leaseId: string } | undefined;

  constructor(registry: Registry, node: Node) {
    this.#registry = registry;
    this.#node = node;
  }

  /**
   * Makes the address ours for another 30 seconds, and gives up the one that we had before. Throws a PublicIpInUseError
   * when another live node has it, and what the registry throws.
   */
  claim(publicIp: Addr): Promise<void> {
    return this.#lock.run(async () => {
      const before = this.#held;
      if (before && sameAddr(before.publicIp, publicIp) && (await this.#stillOurs(before))) return;
      this.#held = { publicIp, leaseId: await this.#take(publicIp) };
      if (before && !sameAddr(before.publicIp, publicIp)) await this.#registry.revoke(before.leaseId);
    });
  }

  /** Gives the address up. Where the registry cannot be reached the claim ends by itself. */
  end(): Promise<void> {
    return this.#lock.run(async () => {
      const held = this.#held;
      this.#held = undefined;
      if (!held) return;
      try {
        await this.#registry.revoke(held.leaseId);
      } catch (error) {
        if (!(error instanceof RegistryUnavailableError)) throw error;
      }
    });
  }

  // Keeping the lease alive succeeds on one that has lost its key, so the key is read as well.
  async #stillOurs(held: { readonly publicIp: Addr; readonly leaseId: string }): Promise<boolean> {
    if ((await this.#registry.keepAlive(held.leaseId)) === 0) return false;
    const entry = await this.#registry.get(sessionKey(held.publicIp));
    return entry?.leaseId === held.leaseId && readNode(entry)?.id === this.#node.id;
  }

  async #take(publicIp: Addr): Promise<string> {
    const key = sessionKey(publicIp);
    const value = JSON.stringify({ NodeID: this.#node.id, NodeName: this.#node.name });
    for (;;) {
      const entry = await this.#registry.get(key);
      const ours = entry !== undefined && readNode(entry)?.id === this.#node.id;
      if (entry && ours && entry.leaseId !== "0" && (await this.#registry.keepAlive(entry.leaseId)) > 0) {
        return entry.leaseId;
      }
      // A key without a lease proves nobody alive: somebody put it there by hand, and it would stay for ever.
      if (entry && !ours && entry.leaseId !== "0") throw this.#inUse(publicIp, entry);
      const leaseId = await this.#registry.grant(SESSION_TTL);
      const written = await writeUnder(this.#registry, leaseId, () =>
        entry
          ? this.#registry.update(key, value, leaseId, entry.modRevision)
          : this.#registry.create(key, value, leaseId),
      );
      if (written) return leaseId;
      await this.#registry.revoke(leaseId);
    }
  }

  #inUse(publicIp: Addr, entry: Entry): PublicIpInUseError {
    const other = readNode(entry);
    return new PublicIpInUseError(
      `the public address ${formatAddr(publicIp)} belongs to node ${other ? describeNode(other) : "without a name"}, ` +
        `which is alive, and cannot also be that of this node, ${describeNode(this.#node)}: ` +
        `give one of them another --public-ip or --iface, or stop the other and wait ${SESSION_TTL} s`,
    );
  }
}

/** For people: 'web1 (id 3f2a...)'. */
function describeNode(node: Node): string {
  return node.name === "" ? `with id ${node.id}` : `${node.name} (id ${node.id})`;
}

function readNode(entry: Entry): Node | undefined {
  const json = parseJsonObject(entry.value.slice(0, 4096)).value;
  const id = json?.field("NodeID");
  const name = json?.field("NodeName");
  return typeof id === "string" ? { id, name: typeof name === "string" ? name : "" } : undefined;
}
