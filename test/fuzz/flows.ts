// Inner packets of several flows at once, as a peer's pods send them: mostly one after the other, and every now and then
// whatever may keep two packets apart. The same seed gives the same packets.

import type { Random } from "../../pkg/base/backoff.ts";
import { naiveSum } from "../naive-sum.ts";
import { finished, pseudo } from "./reference-cut.ts";

const FIN = 1;
const SYN = 2;
const RST = 4;
const PSH = 8;
const ACK = 16;
const URG = 32;
const ECE = 64;
const CWR = 128;

const DF = 0x4000;

interface Flow {
  readonly family: 4 | 6;
  readonly protocol: number;
  readonly source: readonly number[];
  readonly destination: readonly number[];
  readonly ports: readonly [number, number];
  seq: number;
  ack: number;
  window: number;
  options: Uint8Array;
  id: number;
  fragment: number;
  ttl: number;
  tos: number;
  label: number;
  size: number;
  last: Uint8Array | undefined;
}

// What one packet differs in from the next one of its flow.
interface Oddity {
  flags: number;
  payload: number;
  reserved: number;
  urgent: number;
  checksum: "right" | "unfinished" | "wrong" | "absent" | "other zero";
  udpLength: number;
  fragment: number;
  ipOptions: number;
}

export class FlowMaker {
  readonly #random: Random;
  readonly #flows: Flow[];
  readonly #oddness: number;
  #current: Flow;

  /** `count` flows of the peers .2 to .4 of fuzzTable; `oddness` from 0 to 1: how many packets break the row. */
  constructor(random: Random, count: number, oddness: number) {
    this.#random = random;
    this.#oddness = oddness;
    this.#flows = Array.from({ length: count }, () => this.#flow());
    this.#current = this.#pick(this.#flows);
  }

  /** The next packet and the number of the peer (2 to 7) that sends it. */
  next(): { readonly peer: number; readonly packet: Uint8Array } {
    if (this.#chance(0.15 * this.#oddness)) this.#current = this.#pick(this.#flows);
    const flow = this.#current;
    const peer = flow.source[flow.family === 4 ? 2 : 7] ?? 0;
    if (flow.last && this.#chance(0.02 * this.#oddness)) return { peer, packet: flow.last };
    if (this.#chance(0.04 * this.#oddness)) this.#change(flow);
    const packet = this.#packet(flow, this.#oddity(flow));
    flow.last = packet;
    return { peer, packet };
  }

  #flow(): Flow {
    const family = this.#chance(0.5) ? 4 : 6;
    const peer = 2 + this.#below(3);
    const address = (node: number, host: number): number[] =>
      family === 4 ? [10, 5, node, host] : [0xfd, 5, 0, 0, 0, 0, 0, node, 0, 0, 0, 0, 0, 0, 0, host];
    return {
      family,
      protocol: this.#pick([6, 6, 6, 17, 17, 17, 1]),
      source: address(peer, 1 + this.#below(2)),
      destination: address(1, 1 + this.#below(2)),
      // Few ports, so that some flows differ in one place only; two of them may even be the same.
      ports: [1000 + this.#below(3), 2000 + this.#below(2)],
      seq: this.#below(2 ** 32),
      ack: this.#below(2 ** 32),
      window: this.#below(65536),
      options: this.#options(),
      id: this.#below(65536),
      fragment: this.#chance(0.7) ? DF : 0,
      ttl: 2 + this.#below(60),
      tos: this.#chance(0.7) ? 0 : this.#below(256),
      label: this.#below(2 ** 20),
      size: this.#size(),
      last: undefined,
    };
  }

  #size(): number {
    if (this.#chance(0.1)) return 1000 + this.#below(340);
    return 1 + this.#below(80);
  }

  #options(): Uint8Array {
    return this.#chance(0.5) ? this.#bytes(12) : this.#bytes(4 * this.#below(11));
  }

  // From here on the flow goes on otherwise.
  #change(flow: Flow): void {
    switch (this.#below(12)) {
      case 0:
        flow.seq = (flow.seq + (this.#chance(0.5) ? flow.size : this.#below(2 ** 32))) % 2 ** 32; // a hole
        break;
      case 1:
        flow.ack = (flow.ack + 1 + this.#below(1000)) % 2 ** 32;
        break;
      case 2:
        flow.window ^= 1 << this.#below(16);
        break;
      case 3:
        flow.options = this.#options();
        break;
      case 4:
        flow.options = flow.options.slice();
        if (flow.options.length > 0) flow.options[this.#below(flow.options.length)] = this.#below(256);
        break;
      case 5:
        flow.id = this.#below(65536);
        break;
      case 6:
        flow.fragment ^= this.#chance(0.8) ? DF : 0x8000;
        break;
      case 7:
        flow.ttl = 2 + this.#below(60);
        break;
      case 8:
        flow.tos ^= 1 << this.#below(8);
        break;
      case 9:
        flow.label = this.#below(2 ** 20);
        break;
      case 10:
        flow.seq = 2 ** 32 - 1 - this.#below(500); // about to wrap
        break;
      default:
        flow.size = this.#size();
    }
  }

  #oddity(flow: Flow): Oddity {
    const odd: Oddity = {
      flags: ACK,
      payload: flow.size,
      reserved: 0,
      urgent: 0,
      checksum: this.#chance(0.1) ? "unfinished" : "right",
      udpLength: 0,
      fragment: flow.fragment,
      ipOptions: 0,
    };
    if (this.#chance(0.04 * this.#oddness)) odd.flags |= PSH;
    if (!this.#chance(0.15 * this.#oddness)) return odd;
    switch (this.#below(12)) {
      case 0:
        odd.payload = this.#below(flow.size + 1);
        break;
      case 1:
        odd.payload = Math.min(1300, flow.size + 1 + this.#below(40));
        break;
      case 2:
        odd.payload = 0;
        break;
      case 3:
        odd.flags ^= this.#pick([FIN, SYN, RST, URG, ECE, CWR, ACK]);
        break;
      case 4:
        odd.checksum = "wrong";
        break;
      case 5:
        odd.checksum = flow.family === 4 && flow.protocol === 17 ? "absent" : "other zero";
        break;
      case 6:
        odd.fragment = this.#pick([0x2000, 0x2001, 0x0003]);
        break;
      case 7:
        odd.ipOptions = 1 + this.#below(2);
        break;
      case 8:
        odd.reserved = 1 + this.#below(15);
        break;
      case 9:
        odd.urgent = this.#below(65536);
        break;
      case 10:
        odd.udpLength = this.#pick([-1, 1, -8, 100]);
        break;
      default:
        if (flow.protocol === 6 && this.#chance(0.3)) {
          odd.payload = 1500 + this.#below(8000); // a kernel peer's super-packet
          odd.checksum = "unfinished";
        }
    }
    return odd;
  }

  #packet(flow: Flow, odd: Oddity): Uint8Array {
    const transport = this.#transport(flow, odd);
    const isFragment = (odd.fragment & 0x3fff) !== 0;
    // IPv6: a fragment header, or destination options of 8 or 16 bytes.
    const chain = flow.family === 4 ? 0 : isFragment ? 8 : odd.ipOptions * 8;
    const ihl = flow.family === 4 ? 20 + odd.ipOptions * 4 : 40 + chain;
    const bytes = new Uint8Array(Buffer.concat([new Uint8Array(ihl), transport]));
    const view = new DataView(bytes.buffer);
    if (flow.family === 4) {
      bytes[0] = 0x40 + ihl / 4;
      bytes[1] = flow.tos;
      view.setUint16(2, bytes.length);
      view.setUint16(4, flow.id);
      view.setUint16(6, odd.fragment);
      bytes[8] = flow.ttl;
      bytes[9] = flow.protocol;
      bytes.set(flow.source, 12);
      bytes.set(flow.destination, 16);
      bytes.fill(1, 20, ihl); // no-operation
      view.setUint16(10, naiveSum(bytes, 0, ihl) ^ 0xffff, true);
    } else {
      view.setUint32(0, 0x6000_0000 + flow.tos * 2 ** 20 + flow.label);
      view.setUint16(4, bytes.length - 40);
      bytes[6] = chain === 0 ? flow.protocol : isFragment ? 44 : 60;
      bytes[7] = flow.ttl;
      bytes.set(flow.source, 8);
      bytes.set(flow.destination, 24);
      if (isFragment) bytes.set([flow.protocol, 0, 0, 1, 0, 0, 0, 7], 40);
      else if (chain > 0) bytes.set([flow.protocol, chain / 8 - 1, 1, chain - 4], 40);
    }
    // Senders without DF count; those with it do as they like.
    flow.id = (flow.id + (flow.fragment === 0 ? 1 : this.#below(2))) % 65536;
    return this.#checksummed(bytes, flow, odd, ihl);
  }

  #transport(flow: Flow, odd: Oddity): Uint8Array {
    if (flow.protocol === 1) return this.#bytes(8 + odd.payload);
    const header = flow.protocol === 17 ? 8 : 20 + flow.options.length;
    const bytes = new Uint8Array(Buffer.concat([new Uint8Array(header), this.#bytes(odd.payload)]));
    const view = new DataView(bytes.buffer);
    view.setUint16(0, flow.ports[0]);
    view.setUint16(2, flow.ports[1]);
    if (flow.protocol === 17) {
      view.setUint16(4, bytes.length + odd.udpLength);
      return bytes;
    }
    view.setUint32(4, flow.seq);
    view.setUint32(8, flow.ack);
    view.setUint8(12, (header / 4) * 16 + odd.reserved);
    view.setUint8(13, odd.flags);
    view.setUint16(14, flow.window);
    view.setUint16(18, odd.urgent);
    bytes.set(flow.options, 20);
    flow.seq = (flow.seq + odd.payload) % 2 ** 32;
    return bytes;
  }

  #checksummed(bytes: Uint8Array, flow: Flow, odd: Oddity, ihl: number): Uint8Array {
    if (flow.protocol === 1) return bytes;
    const right = finished(bytes, flow.family, flow.protocol, ihl);
    const view = new DataView(right.buffer);
    const field = ihl + (flow.protocol === 6 ? 16 : 6);
    if (odd.checksum === "unfinished") view.setUint16(field, pseudo(bytes, flow.family, flow.protocol, ihl), true);
    if (odd.checksum === "wrong") view.setUint16(field, view.getUint16(field) ^ (1 << this.#below(16)));
    if (odd.checksum === "absent") view.setUint16(field, 0);
    if (odd.checksum === "other zero" && flow.protocol === 6 && right.length > ihl + 22) {
      // Two bytes that make the sum 0: the field is then 0, or 0xffff with some senders.
      const sum = view.getUint16(field, true);
      const at = right.length - 2 - ((right.length - ihl) % 2);
      view.setUint16(at, addOnes(view.getUint16(at, true), sum), true);
      view.setUint16(field, this.#chance(0.5) ? 0xffff : 0);
    }
    return right;
  }

  #bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const start = this.#below(2 ** 24);
    for (let i = 0; i < length; i++) bytes[i] = (start + i * 7919) >> (i & 7);
    return bytes;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  #pick<T>(values: readonly T[]): T {
    const value = values[this.#below(values.length)];
    if (value === undefined) throw new Error("there is nothing to pick from");
    return value;
  }
}

function addOnes(a: number, b: number): number {
  return a + b > 0xffff ? a + b - 0xffff : a + b;
}
