import { AgentUnreachableError } from "../../pkg/api/reach.ts";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import type { Call } from "./command.ts";

const RETRY_MS = 1000;

/**
 * Does the work again and again until Ctrl-C, `ms` apart. An agent that has answered once and goes away, to be restarted
 * say, is waited for; that is told once.
 */
export async function repeat(call: Call, ms: number, work: () => Promise<void>): Promise<void> {
  let answered = false;
  let away = false;
  while (!call.signal.aborted) {
    try {
      await work();
      answered = true;
      away = false;
    } catch (error) {
      if (!answered || !(error instanceof AgentUnreachableError)) throw error;
      if (!away) call.tell(`twillctl: ${error.message}\n`);
      away = true;
      // A connection to a socket that is gone would not find the one that comes in its place.
      call.dropAgent();
    }
    await sleep(systemClock, away ? RETRY_MS : ms, call.signal);
  }
}
