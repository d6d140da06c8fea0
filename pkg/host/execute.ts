import { spawnProgram } from "../sys/spawn.ts";
import { type Execute, LIMITS } from "./command.ts";

/** Execute by posix_spawn(3): for an agent, which starts tools all the time and has more to do meanwhile. */
export function executeBySpawn(env: Readonly<Record<string, string | undefined>>): Execute {
  return async (file, args, stdin) => {
    const { code, stdout, stderr, timedOut } = await spawnProgram(file, args, stdin, { env, ...LIMITS });
    if (code !== undefined) return { code, stdout, stderr };
    throw Object.assign(new Error(`${file} was ended by a signal`), { killed: timedOut });
  };
}
