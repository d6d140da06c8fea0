import { constants } from "node:os";

const NAMES = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));

/** The symbolic name of an errno ("EAGAIN"), or "errno 517" for one that Node does not list. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? (errno === EBADFD ? "EBADFD" : `errno ${errno}`);
}

export const EAGAIN = constants.errno.EAGAIN;
export const EINTR = constants.errno.EINTR;
export const EINVAL = constants.errno.EINVAL;
export const EIO = constants.errno.EIO;
export const EMSGSIZE = constants.errno.EMSGSIZE;
export const ENOBUFS = constants.errno.ENOBUFS;
/** A TUN file whose device was deleted says so with this one (drivers/net/tun.c, tun_chr_read_iter). */
export const EBADFD = 77;

/** A system call that failed. Callers decide by `code`, never by the text. */
export class SysError extends Error {
  override readonly name = "SysError";
  readonly syscall: string;
  readonly errno: number;
  readonly code: string;

  constructor(syscall: string, errno: number) {
    super(`${syscall}: ${errnoName(errno)}`);
    this.syscall = syscall;
    this.errno = errno;
    this.code = errnoName(errno);
  }
}
