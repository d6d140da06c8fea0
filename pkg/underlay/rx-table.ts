import type { Arena } from "../sys/arena.ts";
import type { RxRows } from "./bind.ts";

/** Room for one datagram: the kernel's vxlan device hands uncut inner packets of up to 64 KB to a socket on the same host. */
export const RX_BUFFER_LEN = 65536;
const ROW_GAP = 64;
const ADDR_LEN = 16;

// The inner IP header stands 22 bytes (VXLAN 8, Ethernet 14) into the datagram; starting at 2 mod 4 aligns it.
const ALIGN_IP = 2;

/** The columns of RxRows with their buffers in the arena. */
export class RxTable implements RxRows {
  readonly capacity: number;
  readonly at: Int32Array;
  readonly length: Int32Array;
  readonly partLength: Int32Array;
  readonly from: Int32Array;
  readonly family: Int8Array;
  readonly tos: Uint8Array;

  constructor(arena: Arena, capacity: number) {
    this.capacity = capacity;
    this.at = new Int32Array(capacity);
    this.length = new Int32Array(capacity);
    this.partLength = new Int32Array(capacity);
    this.from = new Int32Array(capacity);
    this.family = new Int8Array(capacity);
    this.tos = new Uint8Array(capacity);
    const buffers = arena.alloc(capacity * (RX_BUFFER_LEN + ROW_GAP), 64);
    const addrs = arena.alloc(capacity * ADDR_LEN, 16);
    for (let i = 0; i < capacity; i++) {
      this.at[i] = buffers + i * (RX_BUFFER_LEN + ROW_GAP) + ALIGN_IP;
      this.from[i] = addrs + i * ADDR_LEN;
    }
  }
}
