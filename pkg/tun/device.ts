/**
 * A TUN device: IP packets to and from this host's kernel. `LinuxTun` is the real one, `MemoryTun` its twin for tests;
 * both pass `test/contract/device.ts`.
 *
 * Packets live in the arena and are named by their place in it. Each carries a virtio-net header (packet/vnet.ts) in
 * front, on reads and on writes: with offloads on, one read or write is a whole super-packet of up to 64 KB.
 * HOT PATH: read and write neither allocate nor throw.
 */
export interface Device {
  readonly name: string;

  /** What poll(2) waits on; -1 where there is nothing to wait on. */
  readonly fd: number;

  /**
   * Reads one packet to `at`: virtio-net header, IP packet. Returns how many bytes came with the header, 0 when nothing
   * waits, or a negative errno (-EBADFD when the device was deleted).
   */
  read(at: number, room: number): number;

  /**
   * Writes one packet gathered from `count` iovecs at `iov`, of which the first begins with the virtio-net header.
   * Returns the bytes taken, or a negative errno.
   */
  write(iov: number, count: number): number;

  close(): void;
}
