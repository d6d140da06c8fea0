// What one writes first in Node, the measure of what twilld's batches and offloads bring: one packet for each fs.read of
// the TUN and each datagram of node:dgram, to one peer, in VXLAN's framing.
//   naive-overlay.ts DEVICE PEER
import { createSocket } from "node:dgram";
import { openSync, read, write } from "node:fs";
import { ETHERNET_HEADER_LEN, ETHERTYPE_IPV4, putEthernet } from "../../../pkg/packet/ethernet.ts";
import { putVxlan, VXLAN_HEADER_LEN, VXLAN_PORT_LINUX } from "../../../pkg/packet/vxlan.ts";
import { Arena } from "../../../pkg/sys/arena.ts";
import * as libc from "../../../pkg/sys/libc.ts";

// linux/if_tun.h
const TUNSETIFF = 0x400454ca;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const IFNAMSIZ = 16;
const IFREQ_LEN = 40;

const VNI = 1;
const HEADERS = VXLAN_HEADER_LEN + ETHERNET_HEADER_LEN;
const MOST = 2048;
const NO_ADDRESSES = new Uint8Array(12);

const [device = "", peer = ""] = process.argv.slice(2);
const tun = openDevice(device);
const socket = createSocket("udp4", (datagram) => {
  write(tun, datagram, HEADERS, datagram.length - HEADERS, null, failOn);
});
socket.bind(VXLAN_PORT_LINUX, () => next());

function next(): void {
  const packet = Buffer.alloc(MOST);
  read(tun, packet, HEADERS, MOST - HEADERS, null, (error, length) => {
    failOn(error);
    putVxlan(packet, 0, VNI);
    putEthernet(packet, VXLAN_HEADER_LEN, NO_ADDRESSES, ETHERTYPE_IPV4);
    socket.send(packet, 0, HEADERS + length, VXLAN_PORT_LINUX, peer);
    next();
  });
}

function failOn(error: Error | null): void {
  if (error) throw error;
}

// By ioctl, for which Node has no function; the descriptor blocks, as one from fs.open does.
function openDevice(name: string): number {
  const fd = openSync("/dev/net/tun", "r+");
  const arena = Arena.create(65536);
  const request = arena.alloc(IFREQ_LEN, 8);
  arena.bytes.set(new TextEncoder().encode(name), request);
  arena.u16[(request + IFNAMSIZ) >>> 1] = IFF_TUN | IFF_NO_PI;
  libc.check("ioctl TUNSETIFF", libc.ioctlPtr(fd, TUNSETIFF, arena.address(request)));
  return fd;
}
