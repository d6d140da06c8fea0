import { randomUUID } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { FAMILIES, type PerFamily } from "../addr/family.ts";
import { type Mac, parseMac, randomMac } from "../addr/mac.ts";
import { writeFileAtomic } from "../base/atomic-file.ts";
import type { Random } from "../base/backoff.ts";
import { describeError, errorCode } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { LeaseRow } from "../lease/lease-table.ts";
import { isUnicast } from "../lease/lease-value.ts";
import type { LeaseKey } from "../lease/lease.ts";

const VERSION = 1;

/** What a node remembers over a restart: who it is, and enough to carry packets before etcd has answered. */
export interface State {
  /** Made once, kept for good: tells our lease from that of another node with our address. */
  readonly nodeId: string;
  /** Made once for each family, so that peers need not learn a new one after a restart. */
  readonly vtepMac: Required<PerFamily<Mac>>;
  /** What the last run knew of the cluster; undefined where it did not get that far. */
  readonly cluster: Cluster | undefined;
}

export interface Cluster {
  /** The network config as formatNetworkConfig writes it. */
  readonly network: string;
  readonly ownKey: LeaseKey;
  /** When our lease runs out unless it is renewed, in milliseconds since 1970; 0: never, or not known. */
  readonly expiresAt: number;
  /** The lease table, our own row in it, true at `revision`. */
  readonly revision: string;
  readonly rows: readonly LeaseRow[];
}

/** `<state-dir>/state.json`, mode 0600, replaced as a whole at every save. */
export class StateFile {
  readonly path: string;
  readonly #log: Logger;
  readonly #random: Random;
  #written = "";
  #problem: string | undefined;

  constructor(dir: string, options: { readonly log: Logger; readonly random: Random }) {
    this.path = join(dir, "state.json");
    this.#log = options.log;
    this.#random = options.random;
  }

  /** Why the last save failed, undefined when it did not. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * What the last run saved, or a new identity. A file that makes no sense is kept as `state.json.corrupt` and replaced:
   * a node that lost its memory must still start, and then takes its old lease over by its address.
   */
  load(): State {
    let text: string;
    try {
      text = readFileSync(this.path, "utf8");
    } catch (error) {
      if (errorCode(error) !== "ENOENT") this.#warnUnread(error);
      return this.#fresh();
    }
    try {
      const state = decodeState(text);
      this.#written = text;
      return state;
    } catch (error) {
      this.#warnUnread(error);
      this.#keepCopy();
      return this.#fresh();
    }
  }

  /**
   * Writes the state where it differs from the file, and returns whether it does. A failure is told once, here and in
   * `problem`, and never thrown.
   */
  save(state: State): boolean {
    const text = encodeState(state);
    if (text === this.#written) return false;
    try {
      writeFileAtomic(this.path, text, { mode: 0o600, dirMode: 0o755 });
      this.#written = text;
      if (this.#problem !== undefined) this.#log.info("state saved again", { path: this.path });
      this.#problem = undefined;
    } catch (error) {
      const told = this.#problem !== undefined;
      this.#problem = `cannot save ${this.path}: ${describeError(error)}`;
      if (!told) this.#log.warn("cannot save the state, a restart would forget it", { path: this.path, err: error });
    }
    return true;
  }

  #fresh(): State {
    return {
      nodeId: randomUUID(),
      vtepMac: { 4: randomMac(this.#random), 6: randomMac(this.#random) },
      cluster: undefined,
    };
  }

  #warnUnread(error: unknown): void {
    this.#log.warn("cannot read the state of the last run, starting as a new node", { path: this.path, err: error });
  }

  #keepCopy(): void {
    const copy = `${this.path}.corrupt`;
    try {
      copyFileSync(this.path, copy);
    } catch (error) {
      this.#log.warn("cannot keep a copy of the unreadable state", { path: copy, err: error });
    }
  }
}

function encodeState(state: State): string {
  return `${JSON.stringify({ version: VERSION, ...state }, undefined, 2)}\n`;
}

// Throws an Error that says what is wrong with the text.
function decodeState(text: string): State {
  const { version, nodeId, vtepMac, cluster } = object(JSON.parse(text), "the state");
  if (version !== VERSION) throw new Error(`its version is ${String(version)}, not ${VERSION}`);
  const macs = object(vtepMac, "vtepMac");
  const [mac4, mac6] = FAMILIES.map((family) => {
    const mac = parseMac(string(macs[family], `vtepMac ${family}`));
    if (!mac || !isUnicast(mac)) throw new Error(`vtepMac ${family} is not an Ethernet address of one machine`);
    return mac;
  });
  if (!mac4 || !mac6) throw new Error("vtepMac is not complete");
  const id = string(nodeId, "nodeId");
  if (id === "") throw new Error("nodeId is empty");
  return {
    nodeId: id,
    vtepMac: { 4: mac4, 6: mac6 },
    cluster: cluster === undefined ? undefined : decodeCluster(object(cluster, "cluster")),
  };
}

function decodeCluster(cluster: Record<string, unknown>): Cluster {
  const { network, ownKey, expiresAt, revision, rows } = cluster;
  if (typeof expiresAt !== "number") throw new Error("cluster.expiresAt is not a number");
  if (!Array.isArray(rows)) throw new Error("cluster.rows is not a list");
  return {
    network: string(network, "cluster.network"),
    ownKey: string(ownKey, "cluster.ownKey"),
    expiresAt,
    revision: decimal(revision, "cluster.revision"),
    rows: rows.map((row: unknown) => {
      const { key, value, createRevision, modRevision, leaseId } = object(row, "a row");
      return {
        key: string(key, "a row's key"),
        value: string(value, "a row's value"),
        createRevision: decimal(createRevision, "a row's createRevision"),
        modRevision: decimal(modRevision, "a row's modRevision"),
        leaseId: decimal(leaseId, "a row's leaseId"),
      };
    }),
  };
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${what} is not an object`);
  return value as Record<string, unknown>;
}

function string(value: unknown, what: string): string {
  if (typeof value !== "string") throw new Error(`${what} is not text`);
  return value;
}

// int64 in etcd's rpc.proto, which goes as text.
function decimal(value: unknown, what: string): string {
  const text = string(value, what);
  if (!/^-?\d{1,19}$/.test(text)) throw new Error(`${what} is not a number`);
  return text;
}
