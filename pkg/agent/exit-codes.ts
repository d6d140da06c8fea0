import { ConfigError, errorCode } from "../base/errors.ts";
import { DataplaneError } from "../dataplane/dataplane.ts";

/** How twilld ends. `--help` lists them, and units of service managers are written by them. */
export const EXIT = {
  /** Told to stop, and did. */
  stopped: 0,
  /** Something broke while running; starting again may help. */
  failed: 1,
  /** A flag or the environment is wrong; starting again does not help. */
  usage: 2,
  /** This host cannot do it: no permission, no /dev/net/tun, a port or a socket that is in use. */
  host: 3,
} as const;

const HOST_CODES: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EADDRINUSE", "EADDRNOTAVAIL", "EROFS"]);

/** The exit code for an error that ended the agent, by its class and by the codes of what caused it. */
export function exitCode(error: unknown): number {
  if (error instanceof ConfigError) return EXIT.usage;
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof DataplaneError) return EXIT.host;
    if (HOST_CODES.has(errorCode(at) ?? "")) return EXIT.host;
  }
  return EXIT.failed;
}
