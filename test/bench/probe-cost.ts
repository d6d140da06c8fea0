// What measuring peers costs the agent: `node test/bench/probe-cost.ts [PEERS] [SECONDS]` asks that many addresses of the
// loopback with the agent's own prober and prints CPU and memory. It needs CAP_NET_RAW.
import { parseAddr } from "../../pkg/addr/addr.ts";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { LinuxEcho } from "../../pkg/probe/linux-echo.ts";
import { Prober } from "../../pkg/probe/prober.ts";
import type { ProbeTarget } from "../../pkg/probe/target.ts";
import { tcpProbe } from "../../pkg/probe/tcp.ts";

const [peers = 100, seconds = 60] = process.argv.slice(2).map(Number);
const deps = { clock: systemClock, random: Math.random };

const memory = (): number => {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 1e6;
};

const targets = Array.from({ length: peers }, (_, i): ProbeTarget => {
  const addr = parseAddr(`127.1.${i >> 8}.${i & 255}`);
  if (!addr) throw new RangeError("more peers than there are addresses");
  return { key: String(i), names: [], overlay: addr, underlay: addr, mtu: 1450, received: undefined };
});
const prober = new Prober({ echo: new LinuxEcho(deps), tcp: tcpProbe(systemClock), ...deps });
const stop = new AbortController();
const before = { memory: memory(), cpu: process.cpuUsage(), at: systemClock.now() };
const run = prober.run(() => targets, stop.signal);
await sleep(systemClock, seconds * 1000);
const cpu = process.cpuUsage(before.cpu);
const passed = (systemClock.now() - before.at) / 1000;
const grown = memory() - before.memory;
stop.abort();
await run;
const share = (cpu.user + cpu.system) / 1e4 / passed;
const asked = prober.probes().filter(({ state }) => state === "up").length;
console.log(
  `${peers} peers, ${asked} answered in ${passed.toFixed(0)} s: ${share.toFixed(2)} % of a core, ${grown.toFixed(1)} MB more`,
);
process.exitCode = share < 1 && grown < 10 ? 0 : 1;
