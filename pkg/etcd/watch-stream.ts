import type { IDuplexStream, IWatchCreateRequest, IWatchRequest, IWatchResponse } from "etcd3";
import type { Clock } from "../base/clock.ts";
import { Wakeup } from "../base/wakeup.ts";
import { closeStream } from "./client.ts";

export type RawWatch = IDuplexStream<IWatchRequest, IWatchResponse>;

/** A raw watch stream as a mailbox: replies wait here until the loop that follows it takes them. */
export class WatchStream {
  /** Notified when a reply came or the stream ended. */
  readonly wakeup: Wakeup;
  readonly #raw: RawWatch;
  #replies: IWatchResponse[] = [];
  #ended: { readonly error: unknown } | undefined;

  constructor(raw: RawWatch, request: IWatchCreateRequest, clock: Clock) {
    this.wakeup = new Wakeup(clock);
    this.#raw = raw;
    raw.on("data", (reply) => {
      this.#replies.push(reply);
      this.wakeup.notify();
    });
    raw.on("error", (error) => this.#end(error));
    raw.on("end", () => this.#end(new Error("etcd ended the watch stream")));
    raw.write({ create_request: request });
  }

  /** What broke the stream; undefined while it is open. */
  get ended(): { readonly error: unknown } | undefined {
    return this.#ended;
  }

  /** The replies since the last call, in their order. */
  take(): IWatchResponse[] {
    const replies = this.#replies;
    this.#replies = [];
    return replies;
  }

  close(): void {
    closeStream(this.#raw);
  }

  // grpc-js emits both "error" and "end": the error, which says why, may come second.
  #end(error: unknown): void {
    const told = this.#ended !== undefined && !(error instanceof Error && "code" in error);
    if (!told) this.#ended = { error };
    this.wakeup.notify();
  }
}
