import { endianness } from "node:os";
import koffi from "koffi";

/**
 * The one block of memory that the packet loop and the kernel share: packets, iovecs, socket addresses, tables,
 * counters. It is a shared WebAssembly.Memory, so that the checksum code in WebAssembly works on it in place and the
 * control thread reads the counters. A place in it is a byte offset ("at"); a pointer for the kernel is address(at).
 */
export class Arena {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  readonly #base: number;
  readonly #low: number;
  readonly #high: number;
  #next = 64; // place 0 stays free, so that 0 can mean "none"

  /** Takes over the memory of another thread's arena. Both lay it out by the same calls, so places agree. */
  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    const buffer = memory.buffer;
    this.bytes = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.#base = Number(koffi.address(this.bytes));
    this.#high = Math.floor(this.#base / 2 ** 32);
    this.#low = this.#base % 2 ** 32;
    // putPointer stores two halves without carrying, and structures are written in host order as little-endian.
    if (this.#low + buffer.byteLength > 2 ** 32) throw new Error("the packet arena crosses a 4 GiB line");
    if (endianness() !== "LE") throw new Error("twill runs on little-endian machines only");
  }

  /** A new arena of at least `size` bytes. Pages that are never touched cost no memory. */
  static create(size: number): Arena {
    const pages = Math.ceil(size / 65536);
    for (let tries = 1; ; tries++) {
      try {
        return new Arena(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
      } catch (error) {
        // V8 maps each memory elsewhere; crossing the line is rare and a second mapping lies on another side of it.
        if (tries === 8) throw error;
      }
    }
  }

  /** Reserves `size` bytes. Throws a RangeError when the arena is full: a layout is fixed, so that is a defect. */
  alloc(size: number, align = 64): number {
    const at = Math.ceil(this.#next / align) * align;
    if (at + size > this.bytes.length) throw new RangeError(`the packet arena has no room for ${size} bytes more`);
    this.#next = at + size;
    return at;
  }

  /** The address of a place, for a system call. */
  address(at: number): number {
    return this.#base + at;
  }

  /** Stores at `at` (a multiple of 4) a pointer to `target`. HOT PATH. */
  putPointer(at: number, target: number): void {
    const i = at >>> 2;
    this.u32[i] = this.#low + target;
    this.u32[i + 1] = this.#high;
  }

  /** Stores at `at` a struct iovec (16 bytes: pointer, length). HOT PATH. */
  putIovec(at: number, target: number, length: number): void {
    const i = at >>> 2;
    this.u32[i] = this.#low + target;
    this.u32[i + 1] = this.#high;
    this.u32[i + 2] = length;
    this.u32[i + 3] = 0;
  }

  /** Reads a struct iovec back, as a place and a length: for twins and references that walk it in place of the kernel. */
  iovec(at: number): readonly [target: number, length: number] {
    const i = at >>> 2;
    return [(this.u32[i] as number) - this.#low, this.u32[i + 2] as number];
  }
}

/** Size of a struct iovec on 64-bit Linux. */
export const IOVEC_LEN = 16;
