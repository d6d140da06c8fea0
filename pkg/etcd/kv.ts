import type { ICompare, IKeyValue, IRangeRequest, IRangeResponse, IRequestOp, IResponseHeader } from "etcd3";
import type { EtcdClient } from "./client.ts";
import { EtcdError } from "./errors.ts";

/** A key and what etcd knows of it. Revisions and lease ids are decimal strings; a lease id of "0" means none. */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: string;
  readonly modRevision: string;
  readonly leaseId: string;
}

export interface Listing {
  readonly header: IResponseHeader;
  readonly keys: readonly KeyValue[];
}

/** Keys in one page of a list; etcd's own answer is limited to what its memory bears. */
const PAGE = 500;
const LIST_TRIES = 3;

// Whoever may write below the prefix may write millions of keys of 1.5 MB. Nothing of ours is longer than 64 KiB, the
// network config; what is cut is longer still, and refused for its length. Of all keys together the oldest are kept.
const LONGEST_VALUE = 64 * 1024 + 1;
const MOST_CHARACTERS = 64 * 1024 * 1024;
const PER_KEY = 200; // characters' worth of memory for the rest of an entry

export async function get(client: EtcdClient, key: string): Promise<KeyValue | undefined> {
  const response = await client.call(`read ${key}`, (etcd) => etcd.kv.range({ key: Buffer.from(key) }));
  return response.kvs.map(toKeyValue)[0];
}

/** What `list` needs of a client; tests hand in a scripted one. */
export interface RangeSource {
  range(what: string, request: IRangeRequest): Promise<IRangeResponse>;
}

/**
 * Every key that starts with `prefix`, all as they were at the revision of `header`; where they are more than memory
 * should bear, the oldest. Throws EtcdError.
 */
export async function list(source: RangeSource, prefix: string, page = PAGE): Promise<Listing> {
  for (let tries = 1; ; tries++) {
    try {
      return await listOnce(source, prefix, page);
    } catch (error) {
      // The first page's revision was compacted before the last page was read.
      if (!(error instanceof EtcdError) || error.reason !== "compacted" || tries === LIST_TRIES) throw error;
    }
  }
}

async function listOnce(source: RangeSource, prefix: string, page: number): Promise<Listing> {
  const range_end = rangeEnd(prefix);
  let keys: KeyValue[] = [];
  let characters = 0;
  let header: IResponseHeader | undefined;
  let key = Buffer.from(prefix);
  for (;;) {
    const pinned = header === undefined ? {} : { revision: header.revision };
    let response: IRangeResponse;
    try {
      response = await source.range(`read ${prefix}`, { key, range_end, limit: page, ...pinned });
    } catch (error) {
      if (!(error instanceof EtcdError) || error.reason !== "too-large" || page === 1) throw error;
      page = Math.ceil(page / 8);
      continue;
    }
    // A later page's header shows the store's revision of its own moment: only the first one's holds for all pages.
    header ??= response.header;
    for (const kv of response.kvs) {
      const entry = toKeyValue(kv);
      characters += sizeOf(entry);
      keys.push(entry);
    }
    if (characters > 2 * MOST_CHARACTERS) ({ keys, characters } = oldest(keys));
    const last = response.kvs.at(-1);
    if (!response.more || !last) return { header, keys };
    key = Buffer.concat([last.key, Buffer.of(0)]); // the smallest key after it
  }
}

/** Writes the key if it does not exist. Undefined when somebody has it. Throws EtcdError. */
export function create(client: EtcdClient, key: string, value: string, leaseId: string): Promise<KeyValue | undefined> {
  const absent: ICompare = { key: Buffer.from(key), target: "Create", result: "Equal", create_revision: 0 };
  return put(client, absent, key, value, leaseId);
}

/** Writes the key if it was last written at `modRevision`. Undefined when it was not. Throws EtcdError. */
export function update(
  client: EtcdClient,
  key: string,
  value: string,
  leaseId: string,
  modRevision: string,
): Promise<KeyValue | undefined> {
  return put(client, isAt(key, modRevision), key, value, leaseId);
}

/** Deletes the key if it was last written at `modRevision`; whether it did. Throws EtcdError. */
export async function remove(client: EtcdClient, key: string, modRevision: string): Promise<boolean> {
  const where = Buffer.from(key);
  return client.call(`delete ${key}`, async (etcd, attempt) => {
    const response = await etcd.kv.txn({
      compare: [isAt(key, modRevision)],
      success: [{ request_delete_range: { key: where } }],
      failure: [{ request_range: { key: where } }],
    });
    if (response.succeeded) return true;
    // An earlier try, whose reply was lost, may have done it: then nobody has the key now.
    return attempt > 1 && response.responses[0]?.response_range?.kvs.length === 0;
  });
}

async function put(
  client: EtcdClient,
  condition: ICompare,
  key: string,
  value: string,
  leaseId: string,
): Promise<KeyValue | undefined> {
  const where = Buffer.from(key);
  const read: IRequestOp = { request_range: { key: where } };
  return client.call(`write ${key}`, async (etcd, attempt) => {
    const response = await etcd.kv.txn({
      compare: [condition],
      // The read in the same transaction gives the entry as written, with its create_revision.
      success: [{ request_put: { key: where, value: Buffer.from(value), lease: leaseId } }, read],
      failure: [read],
    });
    const found = response.responses.at(-1)?.response_range?.kvs.map(toKeyValue)[0];
    if (response.succeeded) return found;
    // The condition fails on a second try also where the first one, whose reply was lost, has written the key.
    const ours = attempt > 1 && found?.value === value && found.leaseId === leaseId;
    return ours ? found : undefined;
  });
}

function isAt(key: string, modRevision: string): ICompare {
  return { key: Buffer.from(key), target: "Mod", result: "Equal", mod_revision: modRevision };
}

export function toKeyValue(kv: IKeyValue): KeyValue {
  return {
    key: kv.key.toString(),
    value: kv.value.toString("utf8", 0, LONGEST_VALUE),
    createRevision: kv.create_revision,
    modRevision: kv.mod_revision,
    leaseId: kv.lease,
  };
}

function sizeOf(entry: KeyValue): number {
  return entry.key.length + entry.value.length + PER_KEY;
}

// As many of the oldest as fit, in the order of their keys.
function oldest(keys: readonly KeyValue[]): { keys: KeyValue[]; characters: number } {
  const byAge = keys.toSorted((a, b) => Number(BigInt(a.createRevision) - BigInt(b.createRevision)));
  let characters = 0;
  const most = byAge.findIndex((entry) => (characters += sizeOf(entry)) > MOST_CHARACTERS);
  const kept = most < 0 ? byAge : byAge.slice(0, most);
  return { keys: kept.toSorted((a, b) => (a.key < b.key ? -1 : 1)), characters: Math.min(characters, MOST_CHARACTERS) };
}

/** The first key after all that start with `prefix`; the prefix must not be empty or end in 0xff. */
export function rangeEnd(prefix: string): Buffer {
  const end = Buffer.from(prefix);
  end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1);
  return end;
}
