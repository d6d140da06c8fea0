import type { Family } from "../addr/family.ts";
import { Arena } from "./arena.ts";
import { EAGAIN, EINTR } from "./errors.ts";
import * as libc from "./libc.ts";
import { putSockaddr, SOCKADDR_ADDR, SOCKADDR_LEN } from "./udp-socket.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;

const IPPROTO_IP = 0;
const IPPROTO_ICMP = 1;
const IPPROTO_IPV6 = 41;
const IPPROTO_ICMPV6 = 58;
const SOL_RAW = 255;
// linux/in.h, linux/in6.h: DF on everything, whatever path MTU the kernel believes in.
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const PMTUDISC_PROBE = 3;
// linux/icmp.h, linux/icmpv6.h: a bit for each type that is not wanted, 32 of them and 256.
const ICMP_FILTER = 1;
const ICMPV6_FILTER = 1;
const ECHO_REPLY = { 4: 0, 6: 129 } as const;
const FILTER_LEN = { 4: 4, 6: 32 } as const;

const LARGEST = 65_535;
// IPv4 gives its header too, 60 bytes at most (RFC 791); of the reply only what tells whose it is matters.
const RECEIVED_LEN = 128;
const ADDR_LEN = { 4: 4, 6: 16 } as const;

/**
 * A raw socket for ICMP or ICMPv6, raw(7), non-blocking: it sends messages whole and unfragmented (DF) and receives echo
 * replies only, those for other programs among them. It needs CAP_NET_RAW; the constructor throws a SysError, EPERM
 * without. (The unprivileged kind, icmp(7), is refused to everybody where net.ipv4.ping_group_range is left as it is.)
 */
export class IcmpSocket {
  readonly fd: number;
  /** What is sent: the ICMP message from its first byte. */
  readonly out: Uint8Array;
  /** What was received: of IPv4 with its IP header, and never more than the beginning. */
  readonly received: Uint8Array;
  readonly #family: Family;
  readonly #arena: Arena;
  readonly #outAt: number;
  readonly #inAt: number;
  readonly #nameAt: number;
  readonly #lengthAt: number;

  constructor(family: Family) {
    this.#family = family;
    this.#arena = Arena.create(2 * 65_536);
    this.#nameAt = this.#arena.alloc(SOCKADDR_LEN[6], 8);
    this.#lengthAt = this.#arena.alloc(4, 4);
    this.#inAt = this.#arena.alloc(RECEIVED_LEN);
    this.#outAt = this.#arena.alloc(LARGEST);
    this.out = this.#arena.bytes.subarray(this.#outAt, this.#outAt + LARGEST);
    this.received = this.#arena.bytes.subarray(this.#inAt, this.#inAt + RECEIVED_LEN);
    const [domain, protocol] = family === 4 ? [AF_INET, IPPROTO_ICMP] : [AF_INET6, IPPROTO_ICMPV6];
    this.fd = libc.check("socket", libc.socket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    try {
      this.#configure();
    } catch (error) {
      libc.close(this.fd);
      throw error;
    }
  }

  /** Sends the first `length` bytes of `out`. Returns 0, or a negative errno: EMSGSIZE where the way out is narrower. */
  send(addr: Uint8Array, length: number): number {
    const { fd } = this;
    putSockaddr(this.#arena, this.#nameAt, this.#family, addr, 0);
    const [buf, name] = [this.#arena.address(this.#outAt), this.#arena.address(this.#nameAt)];
    const sent = libc.sendto(fd, buf, length, MSG_DONTWAIT, name, SOCKADDR_LEN[this.#family]);
    return sent < 0 ? -libc.errno() : 0;
  }

  /** Takes one message. Returns how many of its bytes are in `received`, 0 where none waits. */
  receive(): number {
    const { fd } = this;
    this.#arena.i32[this.#lengthAt >>> 2] = SOCKADDR_LEN[6];
    const [buf, name] = [this.#arena.address(this.#inAt), this.#arena.address(this.#nameAt)];
    const got = libc.recvfrom(fd, buf, RECEIVED_LEN, MSG_DONTWAIT, name, this.#arena.address(this.#lengthAt));
    if (got >= 0) return got;
    const errno = libc.errno();
    // An ICMP error about what we have sent comes as an error too: it is no message, and the next one may be.
    return errno === EAGAIN || errno === EINTR ? 0 : this.receive();
  }

  /** Who sent what was received last. */
  sender(): Uint8Array {
    const at = this.#nameAt + SOCKADDR_ADDR[this.#family];
    return this.#arena.bytes.slice(at, at + ADDR_LEN[this.#family]);
  }

  close(): void {
    libc.close(this.fd);
  }

  #configure(): void {
    const at = this.#arena.alloc(FILTER_LEN[6], 4);
    const set = (level: number, name: number, length: number): number =>
      libc.setsockopt(this.fd, level, name, this.#arena.address(at), length);
    const family = this.#family;
    this.#arena.bytes.fill(0xff, at, at + FILTER_LEN[family]);
    const type = ECHO_REPLY[family];
    const wanted = (at >>> 2) + (type >>> 5);
    this.#arena.u32[wanted] = ~(1 << (type & 31)) >>> 0;
    const [level, filter] = family === 4 ? [SOL_RAW, ICMP_FILTER] : [IPPROTO_ICMPV6, ICMPV6_FILTER];
    libc.check("setsockopt ICMP_FILTER", set(level, filter, FILTER_LEN[family]));
    this.#arena.i32[at >>> 2] = PMTUDISC_PROBE;
    const [ip, discover] = family === 4 ? [IPPROTO_IP, IP_MTU_DISCOVER] : [IPPROTO_IPV6, IPV6_MTU_DISCOVER];
    libc.check("setsockopt MTU_DISCOVER", set(ip, discover, 4));
  }
}
