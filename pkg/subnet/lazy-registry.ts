import type { Entry, FollowHandler, Registry, Snapshot } from "./registry.ts";

/**
 * A registry that is opened when it is first asked for something. What `open` throws, the call throws; the next one opens
 * it anew, since a file that is missing may have come by then.
 */
export class LazyRegistry implements Registry {
  readonly #open: () => Promise<Registry>;
  #opened: Promise<Registry> | undefined;
  #closed = false;

  constructor(open: () => Promise<Registry>) {
    this.#open = open;
  }

  async get(key: string): Promise<Entry | undefined> {
    return (await this.#registry()).get(key);
  }

  async list(): Promise<Snapshot> {
    return (await this.#registry()).list();
  }

  async follow(signal: AbortSignal, handler: FollowHandler): Promise<void> {
    return (await this.#registry()).follow(signal, handler);
  }

  async grant(ttl: number): Promise<string> {
    return (await this.#registry()).grant(ttl);
  }

  async keepAlive(leaseId: string): Promise<number> {
    return (await this.#registry()).keepAlive(leaseId);
  }

  async timeToLive(leaseId: string): Promise<number> {
    return (await this.#registry()).timeToLive(leaseId);
  }

  async revoke(leaseId: string): Promise<void> {
    return (await this.#registry()).revoke(leaseId);
  }

  async create(key: string, value: string, leaseId: string): Promise<Entry | undefined> {
    return (await this.#registry()).create(key, value, leaseId);
  }

  async update(key: string, value: string, leaseId: string, modRevision: string): Promise<Entry | undefined> {
    return (await this.#registry()).update(key, value, leaseId, modRevision);
  }

  async remove(key: string, modRevision: string): Promise<boolean> {
    return (await this.#registry()).remove(key, modRevision);
  }

  close(): void {
    this.#closed = true;
    // One that cannot be opened has told whoever asked.
    this.#opened?.then((registry) => registry.close()).catch(() => undefined);
  }

  #registry(): Promise<Registry> {
    if (this.#closed) throw new Error("the registry is closed");
    if (!this.#opened) {
      const opening = this.#open();
      this.#opened = opening;
      opening.catch(() => {
        if (this.#opened === opening) this.#opened = undefined;
      });
    }
    return this.#opened;
  }
}
