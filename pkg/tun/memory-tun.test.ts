import { expect, test } from "vitest";
import { deviceContract } from "../../test/contract/device.ts";
import { VNET_HDR_LEN } from "../packet/vnet.ts";
import { Arena } from "../sys/arena.ts";
import { EBADFD } from "../sys/errors.ts";
import { MemoryTun } from "./memory-tun.ts";

deviceContract("MemoryTun", async () => {
  const arena = Arena.create(1024 * 1024);
  const device = new MemoryTun(arena);
  return {
    arena,
    device,
    inject: async (packet) => device.inject(Uint8Array.from([...new Uint8Array(VNET_HDR_LEN), ...packet])),
    taken: async () => device.written.splice(0).map((frame) => frame.subarray(VNET_HDR_LEN)),
    close: async () => device.close(),
  };
});

test("a closed device says that it is gone", () => {
  const device = new MemoryTun(Arena.create(65536));
  device.close();
  expect(device.read(0, 10)).toBe(-EBADFD);
  expect(device.write(0, 0)).toBe(-EBADFD);
});
