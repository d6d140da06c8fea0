import type { Family } from "../addr/family.ts";

/**
 * The UDP side of the data plane: batches of datagrams to and from peers. Three implementations pass
 * `test/contract/bind.ts`: `UdpBind` (recvmmsg and UDP_SEGMENT through koffi), `DgramBind` (node:dgram: the plain
 * reference and the last fallback) and `MemoryBind` (tests).
 *
 * HOT PATH: recv and send neither allocate nor throw (DgramBind, being the reference, may).
 */
export interface Bind {
  readonly port: number;

  /** What poll(2) waits on; empty where the implementation calls `onReadable` by itself. */
  readonly fds: readonly number[];

  /** The most datagrams that one run may carry. */
  readonly maxRun: number;

  /** Takes what waits, as much as fits `rx`. Returns how many rows it filled, 0 when nothing waits, or a negative errno. */
  recv(): number;

  /** The rows that the last recv filled; each stays valid until the next. */
  readonly rx: RxRows;

  /**
   * Sends a run. Returns how many datagrams are done with, sent or lost for good; fewer than the run holds means that
   * the socket is full: keep the rest and wait until it can be written to again.
   */
  send(run: TxRun): number;

  /** Of `fds` the one that the last unfinished send found full; -1 before. */
  readonly fullFd: number;

  /** Datagrams that the kernel refused for good since open, and the errno of the last. */
  readonly lost: number;
  readonly lostErrno: number;

  close(): void;
}

/** A table of received datagrams; row i of every column belongs to datagram i. */
export interface RxRows {
  readonly capacity: number;
  /** Where the datagram begins in the arena, and its length. */
  readonly at: Int32Array;
  readonly length: Int32Array;
  /** Length of each part when the kernel joined several datagrams of one sender (UDP_GRO), else 0. The last may be shorter. */
  readonly partLength: Int32Array;
  /** Place of the sender's address in the arena: 4 or 16 bytes in network order. */
  readonly from: Int32Array;
  readonly family: Int8Array;
  /** The outer traffic class: its low two bits are ECN (RFC 6040). 0 where it is not known. */
  readonly tos: Uint8Array;
}

/**
 * Datagrams to one peer, of one length; the last may be shorter. Each is gathered from iovecs in the arena, so payload
 * is never copied: a run of n datagrams with k iovecs each has n*k at `iov`.
 */
export interface TxRun {
  family: Family;
  /** Place in the arena of the peer's sockaddr_in or sockaddr_in6. */
  to: number;
  iov: number;
  iovCount: number;
  iovPerDatagram: number;
  datagrams: number;
  /** Length of every datagram but the last, and of all together. */
  length: number;
  total: number;
  /** Outer traffic class: ECN in its low two bits. */
  tos: number;
}
