import { constants } from "node:os";
import koffi from "koffi";
import { SysError } from "./errors.ts";

// Pointers are passed as numbers in uintptr_t parameters, which is koffi's quickest way: a call then costs 10 to 40 ns
// more than from a C addon. Addresses come from Arena.address.
const libc = koffi.load("libc.so.6");

/** open(2) */
export const open = libc.func("int open(const char *path, int flags)") as (path: string, flags: number) => number;
/** close(2) */
export const close = libc.func("int close(int fd)") as (fd: number) => number;
/** ioctl(2) with a pointer argument */
export const ioctlPtr = libc.func("ioctl", "int", ["int", "ulong", "uintptr_t"]) as (
  fd: number,
  request: number,
  arg: number,
) => number;
/** read(2) */
export const read = libc.func("intptr_t read(int fd, uintptr_t buf, size_t count)") as (
  fd: number,
  buf: number,
  count: number,
) => number;
/** writev(2) */
export const writev = libc.func("intptr_t writev(int fd, uintptr_t iov, int iovcnt)") as (
  fd: number,
  iov: number,
  count: number,
) => number;
/** sched_yield(2) */
export const schedYield = libc.func("int sched_yield()") as () => number;
const pollFunction = libc.func("int poll(uintptr_t fds, ulong nfds, int timeout)");
/** poll(2) */
export const poll = pollFunction as unknown as (fds: number, count: number, timeoutMs: number) => number;
/** poll(2) on a thread of libuv's pool, for a caller that has an event loop to keep turning */
export const pollAsync = (fds: number, count: number, timeoutMs: number): Promise<number> =>
  new Promise((resolve, reject) => {
    pollFunction.async(fds, count, timeoutMs, (error: Error | null, result: number) => {
      if (error) reject(error);
      else resolve(result);
    });
  });
/** socket(2) */
export const socket = libc.func("int socket(int domain, int type, int protocol)") as (
  domain: number,
  type: number,
  protocol: number,
) => number;
/** bind(2) */
export const bind = libc.func("int bind(int fd, uintptr_t addr, uint addrlen)") as (
  fd: number,
  addr: number,
  length: number,
) => number;
/** getsockname(2) */
export const getsockname = libc.func("int getsockname(int fd, uintptr_t addr, uintptr_t addrlen)") as (
  fd: number,
  addr: number,
  length: number,
) => number;
/** setsockopt(2) */
export const setsockopt = libc.func("int setsockopt(int fd, int level, int name, uintptr_t value, uint length)") as (
  fd: number,
  level: number,
  name: number,
  value: number,
  length: number,
) => number;
/** getsockopt(2) */
export const getsockopt = libc.func(
  "int getsockopt(int fd, int level, int name, uintptr_t value, uintptr_t length)",
) as (fd: number, level: number, name: number, value: number, length: number) => number;
/** sendto(2) */
export const sendto = libc.func(
  "intptr_t sendto(int fd, uintptr_t buf, size_t count, int flags, uintptr_t addr, uint addrlen)",
) as (fd: number, buf: number, count: number, flags: number, addr: number, length: number) => number;
/** recvfrom(2) */
export const recvfrom = libc.func(
  "intptr_t recvfrom(int fd, uintptr_t buf, size_t count, int flags, uintptr_t addr, uintptr_t addrlen)",
) as (fd: number, buf: number, count: number, flags: number, addr: number, length: number) => number;
/** sendmsg(2) */
export const sendmsg = libc.func("intptr_t sendmsg(int fd, uintptr_t msg, int flags)") as (
  fd: number,
  msg: number,
  flags: number,
) => number;
/** sendmmsg(2) */
export const sendmmsg = libc.func("int sendmmsg(int fd, uintptr_t vec, uint vlen, int flags)") as (
  fd: number,
  vec: number,
  count: number,
  flags: number,
) => number;
/** recvmmsg(2), without its time-out */
const recvmmsgRaw = libc.func("int recvmmsg(int fd, uintptr_t vec, uint vlen, int flags, uintptr_t timeout)") as (
  fd: number,
  vec: number,
  count: number,
  flags: number,
  timeout: number,
) => number;
export function recvmmsg(fd: number, vec: number, count: number, flags: number): number {
  return recvmmsgRaw(fd, vec, count, flags, 0);
}
/** eventfd(2) */
export const eventfd = libc.func("int eventfd(uint initval, int flags)") as (initial: number, flags: number) => number;

/** pipe2(2) */
export const pipe2 = libc.func("int pipe2(void *fds, int flags)") as (fds: Int32Array, flags: number) => number;
/** kill(2) */
export const kill = libc.func("int kill(int pid, int signal)") as (pid: number, signal: number) => number;
/** memfd_create(2) */
export const memfdCreate = libc.func("int memfd_create(const char *name, uint flags)") as (
  name: string,
  flags: number,
) => number;
/** posix_spawnp(3): returns an errno */
export const posixSpawnp = libc.func(
  "int posix_spawnp(void *pid, const char *file, void *actions, void *attr, const char **argv, const char **envp)",
) as (
  pid: Int32Array,
  file: string,
  actions: Buffer,
  attr: Buffer,
  argv: readonly (string | null)[],
  env: readonly (string | null)[],
) => number;
/** posix_spawn_file_actions_init(3) and so on: memory of the caller's */
export const spawnFileActionsInit = libc.func("int posix_spawn_file_actions_init(void *actions)") as OnMemory;
export const spawnFileActionsDestroy = libc.func("int posix_spawn_file_actions_destroy(void *actions)") as OnMemory;
export const spawnFileActionsAddDup2 = libc.func(
  "int posix_spawn_file_actions_adddup2(void *actions, int fd, int newfd)",
) as (actions: Buffer, fd: number, to: number) => number;
export const spawnAttrInit = libc.func("int posix_spawnattr_init(void *attr)") as OnMemory;
export const spawnAttrDestroy = libc.func("int posix_spawnattr_destroy(void *attr)") as OnMemory;
export const spawnAttrSetFlags = libc.func("int posix_spawnattr_setflags(void *attr, short flags)") as WithNumber;
export const spawnAttrSetSigmask = libc.func("int posix_spawnattr_setsigmask(void *attr, void *set)") as WithSet;
export const spawnAttrSetSigdefault = libc.func("int posix_spawnattr_setsigdefault(void *attr, void *set)") as WithSet;
/** sigaddset(3); a set of zeros is an empty one */
export const sigaddset = libc.func("int sigaddset(void *set, int signal)") as WithNumber;
const waitpid = libc.func("int waitpid(int pid, void *status, int options)");
/** waitpid(2) on a thread of libuv's pool: the status */
export const waitpidAsync = (pid: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const status = new Int32Array(1);
    waitpid.async(pid, status, 0, (error: Error | null, result: number) => {
      if (error) reject(error);
      else if (result !== pid) reject(new SysError("waitpid", constants.errno.ECHILD));
      else resolve(status[0] as number);
    });
  });

type OnMemory = (memory: Buffer) => number;
type WithNumber = (memory: Buffer, value: number) => number;
type WithSet = (memory: Buffer, set: Buffer) => number;

/** errno of this thread's last call. Read it before anything else calls libc. */
export const errno = (): number => koffi.errno();

/** Throws a SysError when `result` is negative; for calls off the packet path. */
export function check(syscall: string, result: number): number {
  if (result < 0) throw new SysError(syscall, errno());
  return result;
}
