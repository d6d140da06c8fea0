import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Arena } from "./arena.ts";
import * as libc from "./libc.ts";
import { NotifySocket } from "./notify-socket.ts";

const [AF_UNIX, SOCK_DGRAM, SOCK_CLOEXEC] = [1, 2, 0o2000000];

/** Takes one datagram off a socket that is bound to these bytes of sun_path, as a service manager would. */
function received(sunPath: string, send: () => void): string {
  const arena = Arena.create(65_536);
  const name = Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(sunPath)]);
  const [at, into] = [arena.alloc(128), arena.alloc(8192)];
  arena.bytes.set(name, at);
  const fd = libc.check("socket", libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    libc.check("bind", libc.bind(fd, arena.address(at), name.length));
    send();
    const got = libc.check("read", libc.read(fd, arena.address(into), 8192));
    return Buffer.from(arena.bytes.slice(into, into + got)).toString();
  } finally {
    libc.close(fd);
  }
}

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "twill-notify-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function sent(address: string, text: string): () => void {
  return () => {
    const socket = new NotifySocket(address);
    socket.send(text);
    socket.close();
  };
}

test("a datagram reaches a socket in the file system", () => {
  const path = join(directory, "notify");
  expect(received(`${path}\0`, sent(path, "READY=1\nSTATUS=größer"))).toBe("READY=1\nSTATUS=größer");
});

test("a datagram reaches a socket in the abstract namespace", () => {
  const name = `twill-notify-${process.pid}`;
  expect(received(`\0${name}`, sent(`@${name}`, "WATCHDOG=1"))).toBe("WATCHDOG=1");
});

test("what is no unix socket is refused, and one that nobody listens on tells so", () => {
  expect(() => new NotifySocket("vsock:2:1234")).toThrow('"vsock:2:1234" is no unix socket');
  expect(() => new NotifySocket(`/${"x".repeat(107)}`)).toThrow("too long");
  const socket = new NotifySocket(join(directory, "nobody"));
  expect(() => socket.send("READY=1")).toThrow(expect.objectContaining({ syscall: "sendto", code: "ENOENT" }));
  socket.close();
});
