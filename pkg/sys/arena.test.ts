import { describe, expect, test } from "vitest";
import { Arena, IOVEC_LEN } from "./arena.ts";
import * as libc from "./libc.ts";

describe("Arena", () => {
  test("places are aligned, apart from each other, and never 0", () => {
    const arena = Arena.create(65536);
    const first = arena.alloc(10, 64);
    const second = arena.alloc(10, 64);
    expect(first).toBeGreaterThan(0);
    expect([first % 64, second % 64]).toEqual([0, 0]);
    expect(second).toBeGreaterThanOrEqual(first + 10);
    expect(() => arena.alloc(65536)).toThrow("the packet arena has no room for 65536 bytes more");
  });

  test("both threads lay out the same memory alike", () => {
    const arena = Arena.create(65536);
    const other = new Arena(arena.memory);
    expect(other.alloc(100)).toBe(arena.alloc(100));
    arena.bytes[200] = 7;
    expect(other.bytes[200]).toBe(7);
    expect(other.address(200)).toBe(arena.address(200));
  });

  test.each([0, 0xffff_0000, 0xffff_fff0, 0xffff_ffff])(
    "pointers are right when the arena begins %i below or at a 4 GiB line",
    (low) => {
      const arena = Arena.create(65536 * 4);
      const base = 0x7f00 * 2 ** 32 + low;
      arena.pretendBase(base);
      for (const target of [0, 16, 0xffff, 0x10000, 0x3_fff0]) {
        arena.putIovec(64, target, 99);
        const stored = (arena.u32[16] ?? 0) + (arena.u32[17] ?? 0) * 2 ** 32;
        expect(stored).toBe(base + target);
        expect(arena.iovec(64)).toEqual([target, 99]);
      }
    },
  );

  test("the kernel finds what a place names", () => {
    const arena = Arena.create(65536);
    const fd = libc.check("eventfd", libc.eventfd(0, 0));
    const value = arena.alloc(8, 8);
    const iov = arena.alloc(IOVEC_LEN, 16);
    arena.u32[value >>> 2] = 42;
    arena.putIovec(iov, value, 8);
    expect(libc.writev(fd, arena.address(iov), 1)).toBe(8);
    arena.u32[value >>> 2] = 0;
    expect(libc.read(fd, arena.address(value), 8)).toBe(8);
    expect(arena.u32[value >>> 2]).toBe(42);
    libc.close(fd);
  });
});
