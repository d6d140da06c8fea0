// Starts a program by posix_spawn(3), which shares our memory until exec. Node's spawn forks, which copies the page
// tables first and holds up the main thread: 15 ms at each start for an agent of 140 MB, against 1 ms.

import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import { type Clock, systemClock } from "../base/clock.ts";
import { SysError } from "./errors.ts";
import * as libc from "./libc.ts";

const MFD_CLOEXEC = 1;
const O_CLOEXEC = 0o2000000;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
// sizeof of glibc on 64-bit machines: posix_spawn_file_actions_t 80, posix_spawnattr_t 336, sigset_t 128.
const ROOM = 512;

export interface SpawnOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A program that runs longer is killed. */
  readonly timeoutMs: number;
  /** A program that prints more bytes is killed. */
  readonly mostOutput: number;
  readonly clock?: Clock;
}

export interface SpawnResult {
  /** The exit code; undefined where a signal has ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/**
 * Runs `file`, looked for in PATH, with `input` as its standard input, and resolves when it has ended. Rejects with a
 * SysError where it cannot be started (ENOENT, E2BIG, EMFILE ...). The event loop goes on meanwhile.
 */
export async function spawnProgram(
  file: string,
  args: readonly string[],
  input: string,
  { env, timeoutMs, mostOutput, clock = systemClock }: SpawnOptions,
): Promise<SpawnResult> {
  const [pid, outputs] = start(file, args, input, env);
  let timedOut = false;
  let length = 0;
  const sockets = outputs.map((fd) => new Socket({ fd, readable: true, writable: false }));
  // It is not waited for yet, so that the number is still its own, and this cannot fail. What it has started may hold its
  // outputs open for longer: they are let go of.
  const kill = (): void => {
    libc.kill(pid, constants.signals.SIGKILL);
    for (const socket of sockets) socket.destroy();
  };
  const cancel = clock.after(timeoutMs, () => {
    timedOut = true;
    kill();
  });
  const texts = await Promise.all(
    sockets.map((socket) =>
      readAll(socket, (bytes) => {
        length += bytes;
        if (length > mostOutput) kill();
      }),
    ),
  );
  const status = await libc.waitpidAsync(pid);
  cancel();
  const [stdout = "", stderr = ""] = texts;
  // The lowest seven bits are the signal, wait(2).
  return { code: (status & 0x7f) === 0 ? (status >> 8) & 0xff : undefined, stdout, stderr, timedOut };
}

/** The process and the ends of its standard output and standard error that are to be read. */
function start(
  file: string,
  args: readonly string[],
  input: string,
  env: SpawnOptions["env"],
): [pid: number, outputs: readonly number[]] {
  const opened: number[] = [];
  const pipe = (): readonly [number, number] => {
    const ends = new Int32Array(2);
    libc.check("pipe2", libc.pipe2(ends, O_CLOEXEC));
    opened.push(...ends);
    return [ends[0] as number, ends[1] as number];
  };
  const kept: number[] = [];
  try {
    const stdin = libc.check("memfd_create", libc.memfdCreate("stdin", MFD_CLOEXEC));
    opened.push(stdin);
    // By pwrite, so that the program begins to read at the start.
    const bytes = Buffer.from(input);
    for (let at = 0; at < bytes.length;) at += writeSync(stdin, bytes, at, bytes.length - at, at);
    const [[stdout, stdoutEnd], [stderr, stderrEnd]] = [pipe(), pipe()];
    const actions = Buffer.alloc(ROOM);
    const attributes = Buffer.alloc(ROOM);
    libc.spawnFileActionsInit(actions);
    libc.spawnAttrInit(attributes);
    try {
      for (const [to, from] of [stdin, stdoutEnd, stderrEnd].entries()) {
        checkErrno("posix_spawn_file_actions_adddup2", libc.spawnFileActionsAddDup2(actions, from, to));
      }
      // Node ignores SIGPIPE, and a program would inherit that.
      const [none, pipes] = [Buffer.alloc(ROOM), Buffer.alloc(ROOM)];
      libc.sigaddset(pipes, constants.signals.SIGPIPE);
      libc.spawnAttrSetSigmask(attributes, none);
      libc.spawnAttrSetSigdefault(attributes, pipes);
      libc.spawnAttrSetFlags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
      const pid = new Int32Array(1);
      const envp = Object.entries(env).map(([name, value]) => `${name}=${value ?? ""}`);
      const argv = [file, ...args, null];
      checkErrno("posix_spawn", libc.posixSpawnp(pid, file, actions, attributes, argv, [...envp, null]));
      kept.push(stdout, stderr);
      return [pid[0] as number, kept];
    } finally {
      libc.spawnFileActionsDestroy(actions);
      libc.spawnAttrDestroy(attributes);
    }
  } finally {
    for (const fd of opened) if (!kept.includes(fd)) libc.close(fd);
  }
}

// Its functions return the error instead of setting errno.
function checkErrno(syscall: string, error: number): void {
  if (error !== 0) throw new SysError(syscall, error);
}

function readAll(socket: Socket, onBytes: (count: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      onBytes(chunk.length);
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("utf8")));
  });
}
