import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Daemon } from "../../pkg/lab/daemon.ts";
import { until } from "../until.ts";
import { compiled } from "./compiled.ts";
import type { End } from "./tcp.ts";

const TALK = join(import.meta.dirname, "talk.ts");
// For what was sent last to come back. After a minute without the other end, TCP waits for a minute to try again.
const PATIENCE_MS = 90_000;

export interface Conversation {
  /** Ends it, once all that was sent has come back. */
  end(): Promise<Talk>;
}

export interface Talk {
  readonly sent: number;
  readonly echoed: number;
  /** The longest silence, in milliseconds; a byte goes every 10. */
  readonly longestGapMs: number;
  /** What broke the connection. */
  readonly error: string | null;
}

let nextPort = 30_000;

/** Opens a TCP connection on which a byte goes there and back every 10 ms until it is ended. */
export async function converse(from: End, to: End, directory: string): Promise<Conversation> {
  const port = String(nextPort++);
  const start = (end: End, role: string, args: readonly string[]): Promise<Daemon> => {
    const log = join(directory, `${role}-${port}.log`);
    return end.netns.start([process.execPath, compiled(TALK), role, ...args], {
      name: `the ${role} on port ${port}`,
      log,
    });
  };
  const said = ({ log }: Daemon): string[] => readFileSync(log, "utf8").split("\n").slice(0, -1);
  const echo = await start(to, "echo", [to.address, port]);
  await until(() => said(echo).length > 0);
  const talk = await start(from, "talk", [from.address, to.address, port]);
  await until(() => said(talk).length > 0);
  return {
    async end() {
      await talk.stop(PATIENCE_MS);
      await echo.stop();
      const line = said(talk).at(-1) ?? "";
      const result = JSON.parse(line) as Partial<Talk>;
      if (result.sent === undefined) throw new Error(`the connection did not come to an end: ${line}`);
      return result as Talk;
    },
  };
}
