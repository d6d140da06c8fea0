import { once } from "node:events";
import { type ServerWritableStream, status } from "@grpc/grpc-js";
import { sleep, systemClock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";

const USUAL_MS = 1000;
const LEAST_MS = 100;

/** A request may say how often to look. */
function intervalOf(request: { readonly intervalMs?: number | null }): number {
  return Math.max(LEAST_MS, request.intervalMs || USUAL_MS);
}

/**
 * Answers with what `make` gives, at once and whenever it is another, until the client or the signal ends it. A client that
 * reads slowly is waited for, and then gets what is true by then. `serialize` tells two answers apart.
 */
export function watch<Q extends object, R>(
  make: (request: Q) => R,
  serialize: (message: R) => Buffer,
  { log, signal }: { readonly log: Logger; readonly signal: AbortSignal },
): (call: ServerWritableStream<Q, R>) => void {
  const run = async (call: ServerWritableStream<Q, R>): Promise<void> => {
    const gone = new AbortController();
    call.on("cancelled", () => gone.abort());
    const end = AbortSignal.any([signal, gone.signal]);
    const intervalMs = intervalOf(call.request);
    let last: Buffer | undefined;
    while (!end.aborted) {
      const message = make(call.request);
      const bytes = serialize(message);
      if (!last?.equals(bytes) && !call.write(message)) await drained(call, end);
      last = bytes;
      await sleep(systemClock, intervalMs, end);
    }
    call.end();
  };
  return (call) => {
    run(call).catch((error: unknown) => {
      log.error("cannot answer a call to the control API", { method: call.getPath(), err: error });
      const details = describeError(error);
      call.emit("error", { code: status.INTERNAL, details });
    });
  };
}

async function drained(call: ServerWritableStream<unknown, unknown>, signal: AbortSignal): Promise<void> {
  try {
    await once(call, "drain", { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
