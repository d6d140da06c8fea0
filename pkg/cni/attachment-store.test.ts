import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AttachmentStore } from "./attachment-store.ts";
import { CODE } from "./error.ts";

let dir: string;
let store: AttachmentStore;
beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), "attachments-")), "cni");
  store = new AttachmentStore(dir);
});
afterEach(() => rmSync(join(dir, ".."), { recursive: true, force: true }));

const ETH0 = { containerId: "c1", ifname: "eth0" };
const conf = { type: "bridge", name: "n" };

test("only root may read what is saved, and it comes back", () => {
  store.save({ ...ETH0, delegate: conf });
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  expect(statSync(store.pathOf(ETH0)).mode & 0o777).toBe(0o600);
  expect(store.load(ETH0)).toEqual({ ...ETH0, delegate: conf });
  expect(JSON.parse(readFileSync(store.pathOf(ETH0), "utf8"))).toMatchObject(ETH0);
});

test("two interfaces of a container do not share a file, nor do names that look alike when joined", () => {
  const ids = [
    ETH0,
    { ...ETH0, ifname: "eth1" },
    { containerId: "a-b", ifname: "c" },
    { containerId: "a", ifname: "b-c" },
  ];
  for (const id of ids) store.save({ ...id, delegate: { ...conf, id } });
  expect(readdirSync(dir)).toHaveLength(4);
  for (const id of ids) expect(store.load(id)?.delegate["id"]).toEqual(id);
});

test("what was never saved is undefined, and removing it is fine", () => {
  expect(store.load(ETH0)).toBeUndefined();
  store.remove(ETH0);
  expect(store.list()).toEqual([]);
});

test("the list has attachments only, not the leftovers of a killed writer or other files", () => {
  store.save({ ...ETH0, delegate: conf });
  writeFileSync(`${store.pathOf({ ...ETH0, ifname: "eth9" })}.0.tmp`, "{}");
  for (const name of ["README", "c1.json", "a:b:c.json", "..:eth0.json", "c2:.json"])
    writeFileSync(join(dir, name), "{}");
  expect(store.list()).toEqual([ETH0]);
});

for (const text of ["", "{", "[]", "{}", '{"delegate":{}}', '{"delegate":{"type":1}}']) {
  test(`a file that says ${text || "nothing"} is a decoding error that names it`, () => {
    mkdirSync(dir);
    writeFileSync(store.pathOf(ETH0), text);
    expect(() => store.load(ETH0)).toThrow(expect.objectContaining({ code: CODE.decode }) as Error);
    expect(() => store.load(ETH0)).toThrow(store.pathOf(ETH0));
  });
}

test("a place that cannot be written is an I/O error that names it", () => {
  writeFileSync(dir, "a file");
  expect(() => store.save({ ...ETH0, delegate: conf })).toThrow(expect.objectContaining({ code: CODE.io }) as Error);
  expect(() => store.save({ ...ETH0, delegate: conf })).toThrow(`cannot write ${store.pathOf(ETH0)}`);
});
