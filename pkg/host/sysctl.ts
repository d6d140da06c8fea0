import type { Commands } from "./command.ts";
import { HostError } from "./host.ts";

/** A sysctl by its path below /proc/sys; the path form, not the dotted one, since interface names may hold dots. */
export function readSysctl(commands: Commands, path: string): Promise<string | undefined> {
  return commands.read(`/proc/sys/${path}`);
}

export async function writeSysctl(commands: Commands, path: string, value: string): Promise<void> {
  try {
    await commands.write(`/proc/sys/${path}`, value);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    throw new HostError(`cannot set the sysctl ${path} to ${value}: ${explain(error.message)}`, { cause: error.cause });
  }
}

function explain(reason: string): string {
  if (reason.startsWith("Read-only")) return "/proc/sys is read-only here (a container?), set it from outside";
  if (reason.startsWith("No such file")) return "this kernel has no such setting";
  return reason;
}
