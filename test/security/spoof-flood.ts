// node test/security/spoof-flood.ts [--seconds N] [--rate PACKETS] [--good GBITS]: spoofed datagrams of every class in turn,
// 100,000 a second, against a node whose pod receives TCP from a peer meanwhile, as fast as it goes or --good; the same
// against the kernel's vxlan devices, which check nobody. Prints the good traffic without and with the flood. It wants
// root, and a quiet machine.

import { parseArgs } from "node:util";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Endpoint } from "../../pkg/lab/ping.ts";
import { tcpThroughput } from "../../pkg/lab/throughput.ts";
import type { UnderlayHost } from "../../pkg/lab/underlay.ts";
import { openKernelVxlan } from "../bench/testbed/kernel.ts";
import { mac } from "../literals.ts";
import { addAttacker, attack, countArrivals, sceneOf } from "./attack.ts";
import { spoofClasses, type Scene } from "./spoof-classes.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    rate: { type: "string", default: "100000" },
    good: { type: "string" },
  },
});
const seconds = Number(values.seconds);
const perSecond = Number(values.rate);
const offered = values.good === undefined ? {} : { bitrate: Number(values.good) * 1e9 };

const DROPS = /^rx_(short|bad|unknown|not_ip|spoofed|martian|foreign)/;

interface Victim {
  readonly title: string;
  readonly host: UnderlayHost;
  readonly scene: Scene;
  readonly sender: Endpoint;
  readonly receiver: Endpoint & { readonly address: string };
}

for (const plane of ["tun", "kernel"]) {
  const lab = await Lab.create({ nodes: 3, pods: 1, args: ["--verify-sender=strict", `--dataplane=${plane}`] });
  try {
    const receiver = lab.pod(1, 1);
    const scene = await sceneOf(lab, receiver.address);
    await run(lab, { title: `twill, ${plane}`, host: lab.node(1), scene, sender: lab.pod(2, 1), receiver });
    await printCounters(lab);
  } finally {
    await lab.close();
  }
}

const lab = await Lab.create();
try {
  const { client, server, machines } = await openKernelVxlan(lab);
  const [netns] = machines.slice(1);
  if (!netns) throw new Error("the testbed has no second machine");
  const host: UnderlayHost = { name: "kvxlan-b", netns, address: "172.31.1.2", address6: "" };
  const scene: Scene = {
    ownMac: mac("0a:00:00:00:00:02"),
    own: host.address,
    pod: server.address,
    peer: "172.31.1.1",
    peerPod: "10.250.1.77",
    otherPod: "10.250.3.77",
    stranger: "172.31.9.9",
  };
  await run(lab, { title: "kernel vxlan", host, scene, sender: client, receiver: server });
} finally {
  await lab.close();
}

async function run(lab: Lab, { title, host, scene, sender, receiver }: Victim): Promise<void> {
  const classes = spoofClasses(scene);
  const attacker = await addAttacker(lab, host, classes);
  const delivered = await countArrivals(receiver.netns, "eth0");
  const measure = (): Promise<number> =>
    tcpThroughput(sender, receiver, { seconds, directory: lab.directory, ...offered });
  await measure(); // the first is slower
  const alone = await measure();
  const flood = attack(lab, attacker, host.address, classes, { perSecond, seconds: seconds + 1 });
  const under = await measure();
  const sent = (await flood).reduce((a, b) => a + b, 0);
  const gbit = (rate: number): string => `${(rate / 1e9).toFixed(2)} Gbit/s`;
  const rate = Math.round(sent / (seconds + 1) / 1000);
  console.log(
    `${title.padEnd(16)}${gbit(alone)} alone, ${gbit(under)} with ${rate}k spoofed/s: ratio ${(under / alone).toFixed(2)}; ` +
      `${await delivered()} of ${sent} spoofed delivered to the pod`,
  );
}

// The kernel plane reads its counters at each reconcile, every 10 s.
async function printCounters(lab: Lab): Promise<void> {
  const deadline = systemClock.now() + 15_000;
  for (;;) {
    const { stdout } = await lab.node(1).ctl(["status", "--json"]);
    const { dataplane } = JSON.parse(stdout) as { dataplane: { counters: Record<string, string> } };
    const drops = Object.entries(dataplane.counters).filter(([name]) => DROPS.test(name));
    if (systemClock.now() < deadline && !drops.some(([, count]) => Number(count) > 0)) {
      await sleep(systemClock, 500);
      continue;
    }
    for (const [name, count] of drops) console.log(`    ${name.padEnd(22)}${count}`);
    return;
  }
}
