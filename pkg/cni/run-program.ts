import { getSystemErrorName } from "node:util";
import type { Environment } from "./call.ts";

/** How a program ended. */
export interface Ending {
  /** Exit status; null where a signal ended it. */
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

// What spawnSync of node:child_process ends in (lib/internal/child_process.js). Loading that module, with its streams and
// sockets, is a tenth of all the time that a pod waits for us, so we call the binding ourselves.
interface SpawnSyncBinding {
  spawn(options: {
    readonly file: string;
    readonly args: readonly string[];
    readonly envPairs: readonly string[];
    readonly stdio: readonly object[];
  }): {
    readonly status: number | null;
    readonly signal: string | null;
    readonly output: readonly [null, Buffer, Buffer] | null;
    /** A negative errno. */
    readonly error?: number;
  };
}
type ProcessWithBinding = typeof process & { binding(name: "spawn_sync"): SpawnSyncBinding };

/** A program that could not be started. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly code: string;

  constructor(file: string, code: string) {
    super(`spawn ${file} ${code}`);
    this.code = code;
  }
}

/**
 * Runs a program to its end, with `input` as its standard input; one without a slash is looked for in the PATH of `env`.
 * Throws a StartError when it cannot be started.
 */
export function runProgram(file: string, args: readonly string[], env: Environment, input: string): Ending {
  const { status, signal, output, error } = (process as ProcessWithBinding).binding("spawn_sync").spawn({
    file,
    args: [file, ...args],
    envPairs: Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])),
    stdio: [
      { type: "pipe", readable: true, writable: false, input: Buffer.from(input) },
      { type: "pipe", readable: false, writable: true },
      { type: "pipe", readable: false, writable: true },
    ],
  });
  // A program that ends without reading its input is an error too (EPIPE), but its ending says more.
  if (error !== undefined && error !== 0 && status === null && signal === null) {
    throw new StartError(file, getSystemErrorName(error));
  }
  return { status, signal, stdout: output?.[1].toString() ?? "", stderr: output?.[2].toString() ?? "" };
}
