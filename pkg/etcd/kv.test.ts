import type { IRangeRequest, IRangeResponse } from "etcd3";
import { expect, test } from "vitest";
import { EtcdError } from "./errors.ts";
import { list, rangeEnd, type RangeSource } from "./kv.ts";

const compacted = new EtcdError("compacted", "could not read /p/: etcd no longer keeps that revision");

/** Pages of one key each, from a store that is one revision further at every request. */
class FakeStore {
  readonly requests: { key: string; revision: string | number | undefined }[] = [];
  revision = 10;
  failures = 0;

  async range(_what: string, request: IRangeRequest): Promise<IRangeResponse> {
    this.requests.push({ key: String(request.key), revision: request.revision });
    this.revision += 1;
    if (request.revision !== undefined && this.failures > 0) {
      this.failures -= 1;
      throw compacted;
    }
    const names = ["/p/a", "/p/b", "/p/c"].filter((name) => name >= String(request.key));
    const kvs = names.slice(0, 1).map((name) => ({
      key: Buffer.from(name),
      value: Buffer.from("v"),
      create_revision: "5",
      mod_revision: "5",
      version: "1",
      lease: "0",
    }));
    const header = { cluster_id: "1", member_id: "1", raft_term: "2", revision: String(this.revision) };
    return { header, kvs, more: names.length > 1, count: String(names.length) };
  }
}

test("all pages of a list are read at the revision of the first", async () => {
  const store = new FakeStore();
  const { header, keys } = await list(store, "/p/", 1);
  expect(keys.map(({ key }) => key)).toEqual(["/p/a", "/p/b", "/p/c"]);
  expect(header.revision).toBe("11");
  expect(store.requests).toEqual([
    { key: "/p/", revision: undefined },
    { key: "/p/a\0", revision: "11" },
    { key: "/p/b\0", revision: "11" },
  ]);
});

test("a list whose revision is compacted between two pages begins again", async () => {
  const store = new FakeStore();
  store.failures = 2;
  const { header, keys } = await list(store, "/p/", 1);
  expect(keys).toHaveLength(3);
  expect(header.revision).toBe("15");
});

test("a list that is overtaken by compaction again and again gives up", async () => {
  const store = new FakeStore();
  store.failures = 3;
  await expect(list(store, "/p/", 1)).rejects.toBe(compacted);
});

test("the range of a prefix ends behind its last key", () => {
  expect(String(rangeEnd("/coreos.com/network/"))).toBe("/coreos.com/network0");
});

test("of more keys than memory should bear the oldest are kept", async () => {
  const header = { cluster_id: "1", member_id: "1", raft_term: "2", revision: "9000" };
  let pages = 0;
  const endless: RangeSource = {
    range: async (_what, request) => {
      const page = pages++;
      const kvs = Array.from({ length: Number(request.limit) }, (_, i) => ({
        key: Buffer.from(`/p/${String(page * 500 + i).padStart(6, "0")}`),
        value: Buffer.alloc(60_000, "x"),
        create_revision: String(100_000 - page * 500 - i),
        mod_revision: "5",
        version: "1",
        lease: "0",
      }));
      return { header, kvs, more: page < 9, count: "5000" };
    },
  };
  const { keys } = await list(endless, "/p/");
  expect(keys.length).toBeLessThan(2500);
  expect(keys.length).toBeGreaterThan(1000);
  expect(keys.at(-1)?.key).toBe("/p/004999"); // made first
});
