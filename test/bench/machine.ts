import { execFile } from "node:child_process";
import { arch, cpus, release, totalmem } from "node:os";
import { promisify } from "node:util";
import { TOP } from "../../pkg/lab/programs.ts";

const run = promisify(execFile);

/** What the figures depend on besides the code. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly arch: string;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  readonly iperf3: string;
  /** Whether it ran as root; an ordinary user's sockets have smaller buffers. */
  readonly root: boolean;
  /** Nanoseconds that a system call takes; the earliest runs did not ask. */
  readonly syscallNs?: number;
}

const CALLS = 20_000;
const SERIES = 10;

export async function describeMachine(): Promise<Machine> {
  const all = cpus();
  const iperf3 = await run("iperf3", ["--version"]);
  return {
    cpu: all[0]?.model.trim() ?? "unknown",
    cores: all.length,
    arch: arch(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    iperf3: /^iperf (\S+)/.exec(iperf3.stdout)?.[1] ?? "unknown",
    root: process.geteuid?.() === 0,
    syscallNs: timeSyscall(),
  };
}

// geteuid(2) does nothing else. The least of several series: something may come between in the others.
function timeSyscall(): number {
  const series = Array.from({ length: SERIES }, () => {
    const begin = process.hrtime.bigint();
    for (let i = 0; i < CALLS; i++) process.geteuid?.();
    return Number(process.hrtime.bigint() - begin) / CALLS;
  });
  return Math.round(Math.min(...series));
}

/** The checkout's commit and whether it was changed; results of earlier runs do not count as a change. */
export async function describeCheckout(): Promise<{ readonly commit: string | undefined; readonly modified: boolean }> {
  try {
    const head = await run("git", ["rev-parse", "--short=12", "HEAD"], { cwd: TOP });
    const paths = ["--", ".", ":!docs/performance", ":!docs/performance.md"];
    const status = await run("git", ["status", "--porcelain", ...paths], { cwd: TOP });
    return { commit: head.stdout.trim(), modified: status.stdout !== "" };
  } catch {
    // An unpacked archive is as good, it only cannot say what it is.
    return { commit: undefined, modified: false };
  }
}
