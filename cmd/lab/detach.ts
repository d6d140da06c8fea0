import { fork } from "node:child_process";

/** What the background process says to the one that started it, once. */
export interface UpMessage {
  readonly healthy: boolean;
}

/**
 * Runs `up` in a process of its own, shows what it writes and leaves it running once it is up. Returns the exit status:
 * 0 where the lab is up and everything in it works.
 */
export function detach(
  program: string,
  args: readonly string[],
  terminal: boolean,
  signal: AbortSignal,
): Promise<number> {
  const child = fork(program, args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: { ...process.env, TWILL_LAB_TERMINAL: terminal ? "1" : "0" },
  });
  child.stdout?.pipe(process.stdout);
  child.stderr?.pipe(process.stderr);
  const abort = (): void => void child.kill("SIGTERM");
  signal.addEventListener("abort", abort, { once: true });
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => reject(new Error("cannot start the lab in the background", { cause })));
    // Once its last words have been shown.
    child.once("close", (status) => resolve(status ?? 1));
    child.once("message", (message) => {
      signal.removeEventListener("abort", abort);
      child.disconnect();
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.unref();
      resolve((message as UpMessage).healthy ? 0 : 1);
    });
  });
}
