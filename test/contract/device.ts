import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { VNET_HDR_LEN } from "../../pkg/packet/vnet.ts";
import { type Arena, IOVEC_LEN } from "../../pkg/sys/arena.ts";
import type { Device } from "../../pkg/tun/device.ts";
import { pattern, tcpPacket, udpPacket } from "../inner-packet.ts";

/** A device, and the kernel's side of it. Packets to 10.5.2.0/24 are routed to the device, from it to 10.5.1.0/24. */
export interface DeviceUnderTest {
  readonly arena: Arena;
  readonly device: Device;
  /** Has the kernel route a packet to the device. */
  inject(packet: Uint8Array): Promise<void>;
  /** The IP packets that the kernel has taken from the device since the last call; `count` are expected. */
  taken(count: number): Promise<Uint8Array[]>;
  close(): Promise<void>;
}

/** What every Device keeps to. */
export function deviceContract(name: string, make: () => Promise<DeviceUnderTest>): void {
  describe(`${name} is a Device`, () => {
    let made: DeviceUnderTest;
    let at: number;
    let iov: number;
    beforeEach(async () => {
      made = await make();
      at = made.arena.alloc(70_000);
      iov = made.arena.alloc(IOVEC_LEN * 8, 16);
    });
    afterEach(() => made.close());

    const toDevice = udpPacket({ src: "10.5.1.7", dst: "10.5.2.7", payload: pattern(300) });
    const fromDevice = udpPacket({ src: "10.5.2.7", dst: "10.5.1.7", payload: pattern(300) });

    test("reads what the kernel routed to it, in order, behind a virtio-net header, and then nothing", async () => {
      expect(made.device.read(at, 70_000)).toBe(0);
      const packets = [toDevice, tcpPacket({ src: "10.5.1.7", dst: "10.5.2.7", payload: pattern(1200) })];
      for (const packet of packets) await made.inject(packet);
      for (const packet of packets) {
        expect(await read(made.device, at)).toBe(VNET_HDR_LEN + packet.length);
        const got = made.arena.bytes.slice(at + VNET_HDR_LEN, at + VNET_HDR_LEN + packet.length);
        expect(untilled(got)).toEqual(untilled(packet));
      }
      expect(made.device.read(at, 70_000)).toBe(0);
    });

    test("writes a packet gathered from several places", async () => {
      const frame = Uint8Array.from([...new Uint8Array(VNET_HDR_LEN), ...fromDevice]);
      const cuts = [0, VNET_HDR_LEN + 20, VNET_HDR_LEN + 100, frame.length];
      let place = at;
      for (let i = 0; i + 1 < cuts.length; i++) {
        const piece = frame.subarray(cuts[i], cuts[i + 1]);
        made.arena.bytes.set(piece, place);
        made.arena.putIovec(iov + i * IOVEC_LEN, place, piece.length);
        place += piece.length + 64;
      }
      expect(made.device.write(iov, cuts.length - 1)).toBe(frame.length);
      expect((await made.taken(1)).map(untilled)).toEqual([untilled(fromDevice)]);
    });
  });
}

// Forwarding takes one from the TTL and mends the header checksum; everything else must stay.
function untilled(packet: Uint8Array): Uint8Array {
  const copy = packet.slice();
  copy.fill(0, 8, 9);
  copy.fill(0, 10, 12);
  return copy;
}

async function read(device: Device, at: number): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const n = device.read(at, 70_000);
    if (n !== 0) return n;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return 0;
}
