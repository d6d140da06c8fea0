import { join } from "node:path";
import { systemClock } from "../../../pkg/base/clock.ts";
import type { Rung } from "../../../pkg/dataplane/tun/offload.ts";
import { TOP } from "../../../pkg/lab/programs.ts";
import { type Faults, makeBadWire } from "../../netns/bad-wire.ts";
import { NO_TUNNEL_GSO, openRungLab, type RungLab } from "../../netns/rung-lab.ts";
import { snmpCounter } from "../../netns/snmp.ts";
import { transferTcp } from "../../netns/tcp.ts";
import { makeWireLike } from "../offloads.ts";
import { AgentWatch } from "./agent-watch.ts";
import type { RungReport, TransferReport } from "./report.ts";

// Of what a good wire carries: IPv6's part, and that of a bad wire.
const IPV6_PART = 0.1;
const BAD_PART = 0.02;

const BAD_WIRES: readonly { readonly title: string; readonly faults: Faults }[] = [
  { title: "drops 1 %", faults: { drop: 0.01, reorder: 0 } },
  { title: "2 % overtaken", faults: { drop: 0, reorder: 0.02 } },
];

/** Carries `bytes` each way on one rung, in a lab of its own. `tell` hears of each transfer. */
export async function soakRung(rung: Rung, bytes: number, tell: (text: string) => void): Promise<RungReport> {
  const rungLab = await openRungLab(rung, [process.execPath, "--trace-gc", join(TOP, "dist/twilld/main.js")]);
  if (!rungLab) return { rung, unavailable: NO_TUNNEL_GSO, transfers: [], agents: [], checksumErrors: 0 };
  const { lab, kernel } = rungLab;
  const transfers: TransferReport[] = [];
  const watches = lab.nodes.map((node) => new AgentWatch(node));
  const carry = async (family: 4 | 6, faults: string, size: number): Promise<void> => {
    for (const [way, from, to] of ways(rungLab, family)) {
      const start = systemClock.now();
      const { bytes: carried, intact } = await transferTcp(from, to, size, lab.directory);
      const transfer = { way, family, faults, bytes: carried, seconds: (systemClock.now() - start) / 1000, intact };
      tell(`${rung}: ${way}, IPv${family}, wire: ${faults}, ${intact ? "identical" : "DIFFERENT"}`);
      transfers.push(transfer);
    }
  };
  try {
    await carry(4, "good", bytes);
    await carry(6, "good", bytes * IPV6_PART);
    const restore = await makeWireLike([...lab.nodes.map(({ netns }) => netns), kernel.host.netns]);
    for (const { title, faults } of BAD_WIRES) {
      const repair = await makeBadWire(lab, "node1", faults);
      await carry(4, title, bytes * BAD_PART);
      await repair();
    }
    await restore();
    const agents = [];
    for (const watch of watches) agents.push(await watch.end());
    let checksumErrors = 0;
    for (const { netns } of [rungLab.pod(1, 4), rungLab.pod(2, 4), rungLab.kernelPod(4)]) {
      checksumErrors += await snmpCounter(netns, "TcpInCsumErrors");
    }
    return { rung, transfers, agents, checksumErrors };
  } finally {
    for (const watch of watches) watch.stop();
    await lab.close();
  }
}

function ways(rungLab: RungLab, family: 4 | 6) {
  const [ours, other, kernel] = [rungLab.pod(1, family), rungLab.pod(2, family), rungLab.kernelPod(family)];
  return [
    ["twill → twill", ours, other],
    ["twill ← twill", other, ours],
    ["twill → kernel", ours, kernel],
    ["kernel → twill", kernel, ours],
  ] as const;
}
