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
  #base = 0;
  #low = 0;
  #high = 0;
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
    this.pretendBase(Number(koffi.address(this.bytes)));
    // Structures for the kernel are written in host order as little-endian.
    if (endianness() !== "LE") throw new Error("twill runs on little-endian machines only");
  }

  /** A new arena of at least `size` bytes. Pages that are never touched cost no memory. */
  static create(size: number): Arena {
    const pages = Math.ceil(size / 65536);
    return new Arena(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
  }

  /** Sets where pointers say the memory begins; tests use it for addresses that the machine would not choose. */
  pretendBase(base: number): void {
    this.#base = base;
    this.#high = Math.floor(base / 2 ** 32);
    this.#low = base % 2 ** 32;
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
    // An arena may cross a 4 GiB line: one in 256 of 16 MB does. The store cuts the sum to 32 bits.
    const low = this.#low + target;
    this.u32[i] = low;
    this.u32[i + 1] = low > 0xffff_ffff ? this.#high + 1 : this.#high;
  }

  /** Stores at `at` a struct iovec (16 bytes: pointer, length). HOT PATH. */
  putIovec(at: number, target: number, length: number): void {
    this.putPointer(at, target);
    const i = at >>> 2;
    this.u32[i + 2] = length;
    this.u32[i + 3] = 0;
  }

  /** Reads a struct iovec back, as a place and a length: for twins and references that walk it in place of the kernel. */
  iovec(at: number): readonly [target: number, length: number] {
    const i = at >>> 2;
    const address = (this.u32[i] as number) + (this.u32[i + 1] as number) * 2 ** 32;
    return [address - this.#base, this.u32[i + 2] as number];
  }
}

/** Size of a struct iovec on 64-bit Linux. */
export const IOVEC_LEN = 16;
