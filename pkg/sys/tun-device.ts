import { Arena } from "./arena.ts";
import * as libc from "./libc.ts";

// linux/if_tun.h
const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;

const O_RDWR = 0o2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

const IFNAMSIZ = 16;
const IFREQ_LEN = 40;

/** What a super-packet read may need of us: linux/if_tun.h, TUN_F_*. */
export const TUN_OFFLOAD = { none: 0, csum: 0x01, tso4: 0x02, tso6: 0x04, tsoEcn: 0x08, uso4: 0x20, uso6: 0x40 } as const;

/**
 * Opens the TUN device `name`, creating it where there is none, and keeps it after close (TUNSETPERSIST): addresses and
 * routes then outlive this process. Reads and writes carry a virtio-net header of `headerLength` bytes.
 *
 * Offloads and header size of a device that was there already are those of its last user, so both are set at every
 * open. Returns the file descriptor, non-blocking and close-on-exec. Throws a SysError: ENOENT without /dev/net/tun,
 * EACCES or EPERM without the right, EBUSY when another process has the device open, EINVAL when a device of that name
 * is of another kind.
 */
export function openTun(name: string, headerLength: number, offload: number): number {
  if (name.length >= IFNAMSIZ) throw new RangeError(`an interface name has at most ${IFNAMSIZ - 1} letters: ${name}`);
  const fd = libc.check("open /dev/net/tun", libc.open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  try {
    const scratch = Arena.create(65536);
    const request = scratch.alloc(IFREQ_LEN, 8);
    scratch.bytes.set(new TextEncoder().encode(name), request);
    scratch.u16[(request + IFNAMSIZ) >>> 1] = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
    const size = scratch.alloc(4, 4);
    scratch.i32[size >>> 2] = headerLength;
    libc.check("ioctl TUNSETIFF", libc.ioctlPtr(fd, TUNSETIFF, scratch.address(request)));
    libc.check("ioctl TUNSETVNETHDRSZ", libc.ioctlPtr(fd, TUNSETVNETHDRSZ, scratch.address(size)));
    libc.check("ioctl TUNSETOFFLOAD", libc.ioctlPtr(fd, TUNSETOFFLOAD, offload));
    libc.check("ioctl TUNSETPERSIST", libc.ioctlPtr(fd, TUNSETPERSIST, 1));
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}
