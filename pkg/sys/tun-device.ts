import { Arena } from "./arena.ts";
import * as libc from "./libc.ts";

// linux/if_tun.h, linux/sockios.h
const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const SIOCGIFHWADDR = 0x8927;
const IFF_TUN = 0x0001;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;

const O_RDWR = 0o2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

const IFNAMSIZ = 16;
const IFREQ_LEN = 40;
const IFREQ_HWADDR = IFNAMSIZ + 2; // struct sockaddr: family, then the address

/**
 * In what form we take packets from the device, and on a TAP also what super-packets we may write: linux/if_tun.h,
 * TUN_F_*. The tunnel pair came with Linux 6.17.
 */
export const TUN_OFFLOAD = {
  none: 0,
  csum: 0x01,
  tso4: 0x02,
  tso6: 0x04,
  tsoEcn: 0x08,
  uso4: 0x20,
  uso6: 0x40,
  udpTunnelGso: 0x80,
  udpTunnelGsoCsum: 0x100,
} as const;

/**
 * Opens the TUN device `name`, creating it where there is none, and keeps it after close (TUNSETPERSIST): addresses and
 * routes then outlive this process. Reads and writes carry a virtio-net header of `headerLength` bytes.
 *
 * Offloads and header size of a device that was there already are those of its last user, so both are set at every
 * open. Returns the file descriptor, non-blocking and close-on-exec. Throws a SysError: ENOENT without /dev/net/tun,
 * EACCES or EPERM without the right, EBUSY when another process has the device open, EINVAL when a device of that name
 * is of another kind or the kernel does not know an offload.
 */
export function openTun(name: string, headerLength: number, offload: number): number {
  const fd = openDevice(name, IFF_TUN, headerLength, offload);
  try {
    libc.check("ioctl TUNSETPERSIST", libc.ioctlPtr(fd, TUNSETPERSIST, 1));
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** Opens a TAP device, which goes with its descriptor. As openTun otherwise. */
export function openTap(name: string, headerLength: number, offload: number): { fd: number; mac: Uint8Array } {
  const fd = openDevice(name, IFF_TAP, headerLength, offload);
  try {
    const scratch = Arena.create(65536);
    const request = scratch.alloc(IFREQ_LEN, 8);
    libc.check("ioctl SIOCGIFHWADDR", libc.ioctlPtr(fd, SIOCGIFHWADDR, scratch.address(request)));
    return { fd, mac: scratch.bytes.slice(request + IFREQ_HWADDR, request + IFREQ_HWADDR + 6) };
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function openDevice(name: string, kind: number, headerLength: number, offload: number): number {
  if (name.length >= IFNAMSIZ) throw new RangeError(`an interface name has at most ${IFNAMSIZ - 1} letters: ${name}`);
  const fd = libc.check("open /dev/net/tun", libc.open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  try {
    const scratch = Arena.create(65536);
    const request = scratch.alloc(IFREQ_LEN, 8);
    scratch.bytes.set(new TextEncoder().encode(name), request);
    scratch.u16[(request + IFNAMSIZ) >>> 1] = kind | IFF_NO_PI | IFF_VNET_HDR;
    const size = scratch.alloc(4, 4);
    scratch.i32[size >>> 2] = headerLength;
    libc.check("ioctl TUNSETIFF", libc.ioctlPtr(fd, TUNSETIFF, scratch.address(request)));
    // Before the offloads: some need the larger header.
    libc.check("ioctl TUNSETVNETHDRSZ", libc.ioctlPtr(fd, TUNSETVNETHDRSZ, scratch.address(size)));
    libc.check("ioctl TUNSETOFFLOAD", libc.ioctlPtr(fd, TUNSETOFFLOAD, offload));
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}
