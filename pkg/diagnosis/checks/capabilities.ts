import { join } from "node:path";
import type { Check } from "../finding.ts";

// Bits of linux/capability.h.
const NEEDED = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n } as const;

/** The agent may change the network. Its process id is what it wrote into the lock of its run directory. */
export const capabilities: Check = {
  name: "capabilities",
  async run({ status, files, paths }) {
    const pid = (await files.read(join(paths.runDir, "lock")))?.trim();
    if (!status || pid === undefined || !/^\d+$/.test(pid)) return [];
    const held = /^CapEff:\s*([0-9a-f]+)$/m.exec((await files.read(`/proc/${pid}/status`)) ?? "")?.[1];
    if (held === undefined) return [];
    const missing = Object.entries(NEEDED).filter(([, bit]) => ((BigInt(`0x${held}`) >> bit) & 1n) === 0n);
    if (missing.length === 0) return [];
    const names = missing.map(([name]) => name).join(" ");
    return [
      {
        severity: "error",
        what: `twilld runs without ${names}`,
        evidence: `/proc/${pid}/status has CapEff ${held}`,
        fix: `systemctl edit twilld, and add AmbientCapabilities=${names}`,
      },
    ];
  },
};
