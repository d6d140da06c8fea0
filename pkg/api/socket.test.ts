import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { errorCode } from "../base/errors.ts";
import { placeSocket, probeSocket } from "./socket.ts";

let dir = "";
let path = "";
const servers: Server[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "twill-socket-"));
  path = join(dir, "twilld.sock");
});

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  rmSync(dir, { recursive: true, force: true });
});

async function listen(at: string): Promise<void> {
  const server = createServer((connection) => connection.destroy());
  servers.push(server);
  await once(server.listen(at), "listening");
}

test("the socket is not reachable by others at any moment, and stands alone at last", async () => {
  let parent = "";
  await placeSocket(path, async (bound) => {
    await listen(bound);
    parent = join(bound, "..");
    expect(statSync(parent).mode & 0o777).toBe(0o700);
    expect(Buffer.byteLength(bound)).toBeLessThanOrEqual(Buffer.byteLength(path));
    expect(readdirSync(dir)).not.toContain("twilld.sock");
  });
  expect(readdirSync(dir)).toEqual(["twilld.sock"]);
  expect(await probeSocket(path)).toBeUndefined();
});

test("a socket that nobody listens on any more is replaced", async () => {
  await leaveStaleSocket();
  expect(errorCode(await probeSocket(path))).toBe("ECONNREFUSED");
  await placeSocket(path, listen);
  expect(await probeSocket(path)).toBeUndefined();
});

test("a live socket is refused and left as it is", async () => {
  await listen(path);
  const before = statSync(path).ino;
  await expect(placeSocket(path, listen)).rejects.toMatchObject({
    message: "another agent answers there: stop it, or give this one its own --run-dir",
    code: "EADDRINUSE",
  });
  expect(statSync(path).ino).toBe(before);
  expect(readdirSync(dir)).toEqual(["twilld.sock"]);
});

test("what is not a socket is refused and left as it is", async () => {
  writeFileSync(path, "precious");
  await expect(placeSocket(path, listen)).rejects.toThrow("there is something that is not a socket: remove it");
  expect(statSync(path).size).toBe(8);
});

test("a bind that fails leaves nothing behind", async () => {
  await expect(placeSocket(path, () => Promise.reject(new Error("no room")))).rejects.toThrow("no room");
  expect(readdirSync(dir)).toEqual([]);
});

test("a missing directory is made", async () => {
  path = join(dir, "run", "twilld.sock");
  await placeSocket(path, listen);
  expect(statSync(path).isSocket()).toBe(true);
});

test("remove takes our own socket away, not its successor's", async () => {
  const placed = await placeSocket(path, listen);
  for (const server of servers.splice(0)) server.close();
  const successor = await placeSocket(path, listen);
  await placed.remove();
  expect(await probeSocket(path)).toBeUndefined();
  await successor.remove();
  await successor.remove();
  expect(readdirSync(dir)).toEqual([]);
});

// A server that is closed in order removes its path; moved elsewhere it cannot, as after a kill.
async function leaveStaleSocket(): Promise<void> {
  await placeSocket(path, listen);
  const closed = servers.splice(0).map((server) => once(server.close(), "close"));
  await Promise.all(closed);
}
