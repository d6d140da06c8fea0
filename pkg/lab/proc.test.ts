import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { isAlive, mountNamespace, processesIn, processId, signalProcess } from "./proc.ts";

test("a process is known by its pid and its start, and signalled only as itself", async () => {
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const id = processId(child.pid ?? 0);
  if (!id) throw new Error("the child has no process id");
  const stranger = { pid: id.pid, start: id.start - 1 };
  expect(isAlive(id)).toBe(true);
  expect(isAlive(stranger)).toBe(false);
  expect(signalProcess(stranger, "SIGKILL")).toBe(false);
  expect(isAlive(id)).toBe(true);
  expect(signalProcess(id, "SIGKILL")).toBe(true);
  await once(child, "exit");
  expect(isAlive(id)).toBe(false);
});

test("our own process is found in its mount namespace", () => {
  const namespace = mountNamespace(process.pid);
  expect(namespace).toMatch(/^mnt:\[\d+\]$/);
  expect(processesIn(namespace ?? "").map(({ pid }) => pid)).toContain(process.pid);
});
