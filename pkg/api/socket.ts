import { lstat, mkdir, mkdtemp, rename, rm, stat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { errorCode } from "../base/errors.ts";

/**
 * Tries to connect to a unix socket: undefined when somebody accepted, else the system's error. A dead socket and a path
 * that is not a socket are both ECONNREFUSED (unix_find_bsd in the kernel's net/unix/af_unix.c).
 */
export function probeSocket(path: string): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("error", resolve);
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
  });
}

/** A listening socket that stands at its path; `remove` takes it away unless another has taken its place. */
export interface PlacedSocket {
  remove(): Promise<void>;
}

/**
 * Lets `bind` bind a unix socket such that it appears at `path` with mode 0600 from its first moment: it is bound in a
 * directory that only we may enter and then renamed, which also replaces what a killed agent has left. Setting the umask
 * around the bind would do for the socket too, but for every file that another thread makes meanwhile as well.
 *
 * Throws an Error with code EADDRINUSE in itself or its cause when a live agent listens at `path`, and any error of the
 * file system or of `bind`.
 */
export async function placeSocket(path: string, bind: (path: string) => Promise<void>): Promise<PlacedSocket> {
  await mkdir(dirname(path), { recursive: true });
  await refuseUnlessFree(path);
  // As short as "/twilld.sock", so that the limit of 107 bytes (unix(7)) is the same for both paths.
  const dir = await mkdtemp(join(dirname(path), ".s"));
  try {
    const bound = join(dir, "s");
    await bind(bound);
    await rename(bound, path);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  const ours = await stat(path);
  return {
    async remove() {
      try {
        const now = await lstat(path);
        if (now.ino === ours.ino && now.dev === ours.dev) await unlink(path);
      } catch (error) {
        if (errorCode(error) !== "ENOENT") throw error;
      }
    },
  };
}

async function refuseUnlessFree(path: string): Promise<void> {
  try {
    if (!(await lstat(path)).isSocket()) throw new Error("there is something that is not a socket: remove it");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw error;
  }
  const refused = await probeSocket(path);
  if (refused === undefined)
    throw Object.assign(new Error("another agent answers there: stop it, or give this one its own --run-dir"), {
      code: "EADDRINUSE",
    });
  if (errorCode(refused) !== "ECONNREFUSED" && errorCode(refused) !== "ENOENT") throw refused;
}
