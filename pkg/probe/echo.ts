import type { Addr } from "../addr/addr.ts";

/** Asks for echoes. `LinuxEcho` sends real ones, `MemoryEcho` is its twin for tests. */
export interface Echo {
  /**
   * Sends one echo request that makes an IP packet of `size` bytes and may not be fragmented, and waits for the reply for
   * at most `timeoutMs`.
   */
  ping(target: Addr, size: number, timeoutMs: number): Promise<Reply>;

  /** Ends what is being waited for as lost. Idempotent. */
  close(): void;
}

/** The round trip in milliseconds, or why there was none. */
export type Reply =
  | { readonly rttMs: number; readonly none?: never }
  | {
      /** Nothing came; this host's own device is narrower; there is no way there; we may not ask. */
      readonly none: "lost" | "too-big" | "unroutable" | "forbidden";
      readonly rttMs?: never;
    };

/** The least that is sent: IPv6 header 40, ICMPv6 8, our mark 8. */
export const LEAST_PING = 56;
