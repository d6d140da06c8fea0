import { Socket } from "node:net";
import { type Addr, formatAddr } from "../addr/addr.ts";
import { errorCode } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";

/** Whether a host answers TCP at all within `timeoutMs`, and before the signal aborts. */
export type TcpProbe = (target: Addr, timeoutMs: number, signal: AbortSignal) => Promise<boolean>;

// discard (RFC 863): nobody serves it, and to be refused is an answer.
const PORT = 9;

/**
 * Knocks at a port that is closed as a rule. A refusal shows that TCP with its checksums comes through both ways: echoes
 * do not, since theirs are never left to the network card.
 */
export function tcpProbe(clock: Clock): TcpProbe {
  return (target, timeoutMs, signal) =>
    new Promise((resolve) => {
      const socket = new Socket();
      const finish = (answered: boolean): void => {
        cancel();
        signal.removeEventListener("abort", giveUp);
        socket.destroy();
        resolve(answered);
      };
      const giveUp = (): void => finish(false);
      const cancel = clock.after(timeoutMs, () => finish(false));
      socket.once("connect", () => finish(true));
      socket.once("error", (error) => finish(errorCode(error) === "ECONNREFUSED"));
      signal.addEventListener("abort", giveUp, { once: true });
      if (signal.aborted) giveUp();
      else socket.connect(PORT, formatAddr(target));
    });
}
