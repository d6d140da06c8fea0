import { bindContract } from "../../test/contract/bind.ts";
import { addrBytes } from "../addr/addr.ts";
import { openUdp } from "../sys/udp-socket.ts";
import { DgramBind } from "./dgram-bind.ts";
import { MemoryUnderlay } from "./memory-bind.ts";
import { UdpBind } from "./udp-bind.ts";

for (const segment of [false, true]) {
  bindContract(segment ? "UdpBind with UDP_SEGMENT and UDP_GRO" : "UdpBind", {
    carriesTos: true,
    async open(arena, address) {
      const options = { rcvbuf: 4 << 20, sndbuf: 4 << 20, gro: segment };
      const socket = openUdp(address.family, addrBytes(address), 0, options);
      return new UdpBind(arena, { [address.family]: socket.fd }, socket.port, segment);
    },
  });
}

bindContract("DgramBind", {
  carriesTos: false,
  open: (arena, address) => DgramBind.open(arena, [address], 0),
});

const underlay = new MemoryUnderlay();
let port = 1;
bindContract("MemoryBind", {
  carriesTos: true,
  open: async (arena, address) => underlay.bind(arena, address, port++),
});
