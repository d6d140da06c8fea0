// What must hold once the faults are over, whatever they were.

import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { describeError } from "../../pkg/base/errors.ts";
import type { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { firstReplies, lostPackets, pingMatrix } from "../../pkg/lab/ping.ts";
import { readMemory } from "../bench/measure/memory.ts";

// How long a cluster may take to come to rest: a renewal that failed waits for a minute at most.
const SETTLE_MS = 90_000;
const PING_TRIES = 5;
const LOOK_MS = 500;
// Of an agent that has been through faults for an hour, over one that has just started.
const MOST_GROWTH = { factor: 1.5, megabytes: 40 };

// A fault of one node or of etcd is news to all of them: peers leave and come back, a start tells what it finds.
const LINES = { start: 200, fault: 40 };

export interface Invariant {
  readonly name: string;
  /** What is wrong, a sentence each. */
  readonly broken: readonly string[];
}

/** Memory of each node's agent in MB. */
export function memoryOf(lab: Lab): Readonly<Record<string, number>> {
  return Object.fromEntries(
    lab.nodes.map((node) => [node.name, readMemory([node.twilld?.pid ?? 0])["agentRss"] ?? Number.NaN]),
  );
}

/** The subnet of each node by its subnet.env. */
export function subnetsOf(lab: Lab): Readonly<Record<string, string>> {
  return Object.fromEntries(lab.nodes.map((node) => [node.name, node.subnetEnv()["FLANNEL_SUBNET"] ?? "none"]));
}

/** What was done to a lab, and so what may be expected of it. */
export interface Past {
  /** Subnets of the nodes at the start. */
  readonly subnets: Readonly<Record<string, string>>;
  /** Memory of the agents at the start. */
  readonly memory: Readonly<Record<string, number>>;
  readonly faults: number;
  /** By the node's name: what its agent had reason to call an error. */
  readonly errors: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Looks until everything holds, or for a while. */
export async function checkInvariants(lab: Lab, past: Past): Promise<readonly Invariant[]> {
  const deadline = systemClock.now() + SETTLE_MS;
  for (;;) {
    const settled = [
      await check("every agent is ready", () => notReady(lab)),
      await check("every agent's table equals etcd", () => tables(lab)),
      await check("no subnet and no node stands in etcd twice", () => doubles(lab)),
      await check("the routes of each node are those to the others' subnets, no more", () => routes(lab)),
      await check("no device, neighbour, forwarding entry or rule is there that should not be", () => stale(lab)),
    ];
    const broken = settled.flatMap((each) => each.broken);
    if (broken.length === 0 || systemClock.now() > deadline) {
      return [
        ...settled,
        await check("every node has the subnet that it began with", async () => moves(past.subnets, subnetsOf(lab))),
        await check("every pod reaches every pod", () => reach(lab)),
        await check("no agent has grown", async () => growth(past.memory, memoryOf(lab))),
        await check("no agent has told an error but of what was one", async () => errors(lab, past)),
        await check("no agent has flooded its log", async () => floods(lab, past)),
      ];
    }
    await sleep(systemClock, LOOK_MS);
  }
}

async function check(name: string, look: () => Promise<readonly string[]>): Promise<Invariant> {
  try {
    return { name, broken: await look() };
  } catch (error) {
    return { name, broken: [describeError(error)] };
  }
}

async function notReady(lab: Lab): Promise<string[]> {
  const answers = await Promise.all(lab.nodes.map((node) => node.http("/readyz")));
  return answers.flatMap(({ status, body }, i) => (status === 200 ? [] : [`${lab.nodes[i]?.name}: ${body.trim()}`]));
}

// As text that is the same for the same subnets in whatever order.
const listed = (subnets: readonly string[]): string => subnets.toSorted((a, b) => (a < b ? -1 : 1)).join(" ");

const subnetsIn = async (lab: Lab): Promise<string[]> => {
  const rows = await lab.etcd.list(`${lab.prefix}/subnets/`);
  return rows.map(({ key }) => (key.split("/").at(-1) ?? "").replace("-", "/"));
};

async function tables(lab: Lab): Promise<string[]> {
  const wanted = listed(await subnetsIn(lab));
  const found = await Promise.all(
    lab.nodes.map(async (node) => {
      const { stdout } = await node.ctl(["--json", "leases"]);
      const { leases } = JSON.parse(stdout) as { leases: readonly { subnets: readonly string[] }[] };
      return listed(leases.map(({ subnets }) => subnets[0] ?? ""));
    }),
  );
  return found.flatMap((text, i) => (text === wanted ? [] : [`${lab.nodes[i]?.name} has ${text}, etcd ${wanted}`]));
}

async function doubles(lab: Lab): Promise<string[]> {
  const rows = await lab.etcd.list(`${lab.prefix}/subnets/`);
  const addresses = rows.map(({ value }) => (JSON.parse(value) as { PublicIP: string }).PublicIP);
  const twice = addresses.filter((address, i) => addresses.indexOf(address) !== i);
  const problems = twice.map((address) => `${address} has more than one lease`);
  if (rows.length !== lab.nodes.length) problems.push(`${rows.length} leases of ${lab.nodes.length} nodes`);
  return problems;
}

function moves(before: Past["subnets"], now: Past["subnets"]): string[] {
  const moved = Object.entries(before).filter(([name, subnet]) => now[name] !== subnet);
  return moved.map(([name, subnet]) => `${name} has ${now[name]} instead of ${subnet}`);
}

async function routes(lab: Lab): Promise<string[]> {
  const subnets = await subnetsIn(lab);
  const problems = await Promise.all(lab.nodes.map((node) => wrongRoutes(node, subnets)));
  return problems.flat();
}

async function wrongRoutes(node: Node, subnets: readonly string[]): Promise<string[]> {
  const own = (node.subnetEnv()["FLANNEL_SUBNET"] ?? "").replace(/\.1\//, ".0/");
  const { stdout } = await node.run(["sh", "-c", "ip route show | grep -E ' dev (twill|flannel)[.]' || true"]);
  const found = listed(stdout.split("\n").flatMap((line) => line.split(" ")[0] || []));
  const wanted = listed(subnets.filter((subnet) => subnet !== own));
  return found === wanted ? [] : [`${node.name} routes ${found} instead of ${wanted}`];
}

async function reach(lab: Lab): Promise<string[]> {
  const silent = await firstReplies(lab.pods, lab.pods);
  if (silent.length > 0) return silent.map((pair) => `${pair}: no answer`);
  // A machine that is busy with something else may be late for a ping, but not time and again.
  for (let tries = 1; ; tries++) {
    const { sent, lost } = lostPackets(await pingMatrix(lab.pods, lab.pods));
    if (lost === 0) return [];
    if (tries === PING_TRIES) return [`${lost} of ${sent} pings were lost, at the ${PING_TRIES}th try`];
  }
}

async function stale(lab: Lab): Promise<string[]> {
  const problems = await Promise.all(lab.nodes.map((node) => staleOn(node, lab)));
  return problems.flat();
}

async function staleOn(node: Node, lab: Lab): Promise<string[]> {
  const say = async (command: string): Promise<string[]> => {
    const { stdout } = await node.run(["sh", "-c", `${command} || true`]);
    return stdout.split("\n").filter((line) => line !== "");
  };
  const names = (await say("ip -o link show")).map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? "");
  const devices = names.filter((name) => /^(twill|flannel|twgso)/.test(name));
  const isKernel = devices.includes("flannel.1");
  const problems: string[] = [];
  const expect = (what: string, found: readonly string[], wanted: readonly string[]): void => {
    if (listed(found) !== listed(wanted))
      problems.push(`${node.name} has ${what} ${listed(found)} instead of ${listed(wanted)}`);
  };
  // The tunnel device is there where the kernel has what it needs.
  expect(
    "the devices",
    devices.filter((name) => name !== "twgso.1"),
    [isKernel ? "flannel.1" : "twill.1"],
  );
  const tables = (await say("nft list tables")).filter((line) => / (twill|twill-sender|chaos)$/.test(line));
  expect("the nft tables", tables, ["table ip twill", ...(isKernel ? ["table ip twill-sender"] : [])]);
  const jumps = (await say("iptables -S FORWARD")).filter((line) => line.includes("TWILL-FWD"));
  if (jumps.length > 1) problems.push(`${node.name} jumps to its forward accepts ${jumps.length} times`);
  if (!isKernel) return problems;
  const others = lab.nodes.filter((other) => other !== node);
  const nets = others.map((other) => (other.subnetEnv()["FLANNEL_SUBNET"] ?? "").replace(/\.1\/.*/, ".0"));
  const neighbours = await say("ip neigh show dev flannel.1 nud permanent");
  expect(
    "the neighbours",
    neighbours.map((line) => line.split(" ")[0] ?? ""),
    nets,
  );
  const entries = await say("bridge fdb show dev flannel.1");
  const destinations = entries.flatMap((line) => / dst (\S+)/.exec(line)?.[1] ?? []);
  expect(
    "the forwarding entries",
    destinations,
    others.map(({ address }) => address),
  );
  return problems;
}

function growth(before: Readonly<Record<string, number>>, after: Readonly<Record<string, number>>): string[] {
  return Object.entries(after).flatMap(([node, megabytes]) => {
    const start = before[node] ?? 0;
    const most = Math.max(start * MOST_GROWTH.factor, start + MOST_GROWTH.megabytes);
    return megabytes <= most ? [] : [`${node} from ${Math.round(start)} to ${Math.round(megabytes)} MB`];
  });
}

function errors(lab: Lab, past: Past): string[] {
  return lab.nodes.flatMap((node) => {
    const expected = past.errors.get(node.name);
    const lines = node
      .logText()
      .split("\n")
      .filter((line) => /"level":"(error|fatal)"/.test(line) || /^\S*Error: /.test(line))
      .filter((line) => !expected?.has(/"msg":"([^"]*)"/.exec(line)?.[1] ?? ""));
    return lines.slice(0, 3).map((line) => `${node.name}: ${line}`);
  });
}

function floods(lab: Lab, { faults }: Past): string[] {
  const most = LINES.start + LINES.fault * faults;
  return lab.nodes.flatMap((node) => {
    const lines = node.logText().split("\n").length;
    return lines <= most ? [] : [`${node.name} has written ${lines} lines, for ${faults} faults`];
  });
}
