import { formatAddr } from "../addr/addr.ts";
import { formatInterfaceAddr } from "../addr/prefix.ts";

import { describeChange, invalidDevice } from "./change.ts";
import type { Commands } from "./command.ts";
import { type HostChange, HostError, type Route } from "./host.ts";
import { cleanReason } from "./ip.ts";
import { fdbLine, neighbourLine } from "./neighbours.ts";
import { formatRoute, protocolNumber } from "./route.ts";
import { addVxlanLine, changeVxlanLine } from "./vxlan.ts";

// Changes go to iproute2 in batches, one process for each run of changes of one kind.

/** A line of a batch and the change that fails with it, if any. */
interface Line {
  readonly text: string;
  readonly change: number | undefined;
}

/** Changes in a row that one process can carry out. */
interface Run {
  readonly kind: keyof typeof TOOL;
  readonly lines: Line[];
}

// `ip` ends the whole batch, -force or not, at the first neighbour that the kernel refuses (ip/ipneigh.c,
// ipneigh_modify) and at a VXLAN device whose underlay is missing (ip/iplink_vxlan.c): those have runs of their own.
const TOOL = { ip: "ip", vxlan: "ip", neighbour: "ip", fdb: "bridge" } as const;

/** Carries out the changes by `ip -force -batch -` and `bridge -force -batch -`; see Host.apply. */
export async function applyChanges(
  commands: Commands,
  changes: readonly HostChange[],
): Promise<(HostError | undefined)[]> {
  const results = changes.map(invalidDevice);
  const runs: Run[] = [];
  for (const [i, change] of changes.entries()) {
    if (results[i]) continue;
    const kind = runKind(change);
    let run = runs.at(-1);
    if (run?.kind !== kind || kind === "vxlan") runs.push((run = { kind, lines: [] }));
    for (const text of batchLines(change)) run.lines.push({ text, change: i });
  }
  const fail = (i: number | undefined, reason: string): void => {
    const change = i === undefined ? undefined : changes[i];
    if (i === undefined || !change || results[i] || isDone(change, reason)) return;
    results[i] = new HostError(`cannot ${describeChange(change)}: ${reason}`);
  };
  for (const run of runs) {
    const detours: Line[] = [];
    await carryOut(commands, run, (i, reason) => {
      const lines = i === undefined ? [] : detourLines(i, changes[i], reason);
      if (lines.length === 0) fail(i, reason);
      detours.push(...lines);
    });
    await carryOut(commands, { kind: run.kind, lines: detours }, fail);
  }
  return results;
}

async function carryOut(
  commands: Commands,
  { kind, lines }: Run,
  fail: (change: number | undefined, reason: string) => void,
): Promise<void> {
  if (lines.length === 0) return;
  const text = lines.map((line) => `${line.text}\n`).join("");
  const { code, stderr } = await commands.run(TOOL[kind], ["-force", "-batch", "-"], text);
  if (code > 1 && kind === "neighbour" && lines.length > 1) {
    // It does not say where it ended. Setting a neighbour twice does no harm, so the refused one is searched for.
    const half = lines.length >> 1;
    await carryOut(commands, { kind, lines: lines.slice(0, half) }, fail);
    await carryOut(commands, { kind, lines: lines.slice(half) }, fail);
    return;
  }
  let said: string[] = [];
  for (const each of stderr.split("\n")) {
    const line = /^Command failed .*:(\d+)$/.exec(each)?.[1];
    if (line === undefined) {
      if (each.trim() !== "") said.push(each);
      continue;
    }
    fail(lines[Number(line) - 1]?.change, cleanReason(said.join("\n")));
    said = [];
  }
  if (code <= 1) return;
  // It gave up, and nobody knows at which line of several.
  const reason = cleanReason(said.join("\n"));
  for (const { change } of lines) fail(change, lines.length === 1 ? reason : `ip ended with code ${code}: ${reason}`);
}

function runKind({ kind }: HostChange): Run["kind"] {
  if (kind === "vxlan" || kind === "change-vxlan") return "vxlan";
  if (kind === "neighbour" || kind === "delete-neighbour") return "neighbour";
  return kind === "fdb" || kind === "delete-fdb" ? "fdb" : "ip";
}

function batchLines(change: HostChange): string[] {
  switch (change.kind) {
    case "link":
      return linkLines(change);
    case "vxlan":
      return [addVxlanLine(change)];
    case "change-vxlan":
      return [changeVxlanLine(change)];
    case "delete-link":
      return [`link delete dev ${change.dev}`];
    case "address":
      return [`address replace ${formatInterfaceAddr(change.address)} dev ${change.dev}`];
    case "delete-address":
      return [`address delete ${formatInterfaceAddr(change.address)} dev ${change.dev}`];
    case "route":
      return [`route replace ${batchRoute(change.route)}`];
    case "delete-route":
      return [`route delete ${batchRoute(change.route)}`];
    case "neighbour":
    case "delete-neighbour":
      return [neighbourLine(change)];
    case "fdb":
    case "delete-fdb":
      return [fdbLine(change)];
  }
}

// The kernel refuses an IPv6 route by a gateway that another route leads to through another device, on-link or not
// (net/ipv6/route.c, ip6_route_check_nh_onlink): the route that is to be replaced, or one around it. A route to the
// gateway alone that goes first lets it pass, and what is replaced is replaced in one step. Metric 1, so that it wins and
// replaces nobody's.
function detourLines(i: number, change: HostChange | undefined, reason: string): Line[] {
  if (change?.kind !== "route" || !reason.startsWith("Nexthop has invalid gateway or device mismatch")) return [];
  const { via, dev, onlink } = change.route;
  if (via?.family !== 6 || onlink !== true) return [];
  const gateway = `${formatAddr(via)}/128 dev ${dev} metric 1`;
  return [
    { text: `route replace ${gateway}`, change: undefined },
    ...batchLines(change).map((text) => ({ text, change: i })),
    { text: `route delete ${gateway}`, change: undefined },
  ];
}

// iproute2 6.1 remembers the last protocol that it looked up by name, and a number after it spoils that memory
// (lib/rt_names.c, rtnl_rtprot_a2n): "static", then "99", then "static" gives 99. So protocols go in as numbers.
function batchRoute(route: Route): string {
  return formatRoute(route.protocol === undefined ? route : { ...route, protocol: protocolNumber(route.protocol) });
}

// One line each: within one message the kernel brings a link up before it looks at the address generation mode
// (net/core/rtnetlink.c, do_setlink), and the link would have got its link-local address by then.
function linkLines(change: HostChange & { kind: "link" }): string[] {
  const set = `link set dev ${change.dev}`;
  const lines: string[] = [];
  if (change.addrGenMode !== undefined) lines.push(`${set} addrgenmode ${change.addrGenMode}`);
  if (change.mac !== undefined) lines.push(`${set} address ${change.mac}`);
  if (change.mtu !== undefined) lines.push(`${set} mtu ${change.mtu}`);
  if (change.txQueueLen !== undefined) lines.push(`${set} txqueuelen ${change.txQueueLen}`);
  if (change.up !== undefined) lines.push(`${set} ${change.up ? "up" : "down"}`);
  return lines;
}

// What is asked to go and is not there has gone. And a link generates no address where it, or the whole host, has no IPv6
// (MTU below 1280, ipv6.disable=1): net/core/rtnetlink.c, validate_linkmsg.
function isDone(change: HostChange, reason: string): boolean {
  if (change.kind === "link") return change.addrGenMode === "none" && reason.startsWith("Address family not supported");
  if (!change.kind.startsWith("delete-")) return false;
  return /^(Cannot find device|No such (process|device|file))|address not found|^Cannot assign requested/i.test(reason);
}
