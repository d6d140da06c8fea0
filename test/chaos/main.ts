// `npm run chaos -- --minutes N --seed S`: five nodes under load, faults that a seed decides, and a look at everything that
// must hold in the end. Writes dist/chaos.md, and with --write-docs its section of docs/reliability.md; keeps the agents'
// logs in dist/chaos where something did not hold. Exit codes: 0 all held, 1 not, 2 wrong arguments.

import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { format } from "prettier";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { describeError } from "../../pkg/base/errors.ts";
import { VERSION } from "../../pkg/base/version.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import { obstacles } from "../../pkg/lab/preflight.ts";
import { TOP } from "../../pkg/lab/programs.ts";
import { describeCheckout } from "../bench/machine.ts";
import { writeSection } from "../reliability/document.ts";
import { PATIENCE_MS } from "../reliability/patience.ts";
import { WORKER_KILLER } from "../reliability/worker-killer.ts";
import { FAULTS } from "./faults.ts";
import { checkInvariants, memoryOf, type Past, subnetsOf } from "./invariants.ts";
import { Load } from "./load.ts";
import { chaosDocument, chaosPassed, type ChaosReport, type Struck } from "./report.ts";
import { makeSchedule, type Planned } from "./schedule.ts";

const DATAPLANES = ["tun", "kernel", "tun", "kernel", "tun"] as const;
// Short enough that an agent that was frozen or cut off is sometimes late; the shortest that twilld takes.
const ARGS = ["--subnet-lease-ttl=1m", "--resync=10s"];
// Of its own, so that it can be full.
const STATE_DISK = "size=256k,mode=700";

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function strike(lab: Lab, planned: Planned, start: number): Promise<Struck> {
  const fault = FAULTS.find(({ name }) => name === planned.fault);
  if (!fault) throw new Error(`there is no fault ${planned.fault}`);
  await sleep(systemClock, start + planned.atMs - systemClock.now());
  const at = Math.round((systemClock.now() - start) / 1000);
  say(`${String(at).padStart(5)} s  ${planned.fault}, ${planned.target === "etcd" ? "etcd" : `node${planned.target}`}`);
  try {
    const heal = await fault.strike(lab, lab.node(planned.target === "etcd" ? 1 : planned.target));
    await sleep(systemClock, planned.holdMs);
    await heal();
    return { ...planned, error: undefined };
  } catch (error) {
    say(`         ${describeError(error)}`);
    return { ...planned, error: describeError(error) };
  }
}

async function run(minutes: number, seed: number): Promise<ChaosReport> {
  const date = new Date(systemClock.wall()).toISOString();
  const { commit } = await describeCheckout();
  const lab = await Lab.create({ args: ARGS });
  try {
    for (const dataplane of DATAPLANES) {
      const node = await lab.addNode({ args: [`--dataplane=${dataplane}`], env: WORKER_KILLER });
      await node.run(["sh", "-ec", `mkdir ${node.stateDir}; mount -t tmpfs -o ${STATE_DISK} tmpfs ${node.stateDir}`]);
    }
    for (const node of lab.nodes) {
      await node.start();
      await node.ready(PATIENCE_MS);
      await node.addPod();
    }
    const subnets = subnetsOf(lab);
    const nothing: Past = { subnets, memory: memoryOf(lab), faults: 0, errors: new Map() };
    const broken = (await checkInvariants(lab, nothing)).flatMap((each) => each.broken);
    if (broken.length > 0) throw new Error(`before anything was broken: ${broken.join("; ")}`);
    const memory = memoryOf(lab);
    const schedule = makeSchedule({ seed, minutes, nodes: lab.nodes.length, faults: FAULTS });
    say(`seed ${seed}: ${schedule.length} faults in ${minutes} minutes`);
    const load = await Load.start(lab, Math.round(minutes * 60));
    const start = systemClock.now();
    const struck = await Promise.all(schedule.map((planned) => strike(lab, planned, start)));
    await sleep(systemClock, start + minutes * 60_000 - systemClock.now());
    const invariants = await checkInvariants(lab, {
      subnets,
      memory,
      faults: struck.length,
      errors: expectedErrors(struck),
    });
    if (invariants.some((each) => each.broken.length > 0)) keepLogs(lab);
    return {
      seed,
      minutes,
      version: VERSION,
      commit,
      date,
      struck,
      invariants,
      nodes: lab.nodes.map(({ name }, i) => `${name} ${DATAPLANES[i]}`),
      load: await load.end(),
    };
  } finally {
    await lab.close();
  }
}

// The lab's directory goes with it.
function keepLogs(lab: Lab): void {
  const directory = join(TOP, "dist/chaos");
  mkdirSync(directory, { recursive: true });
  for (const node of lab.nodes) copyFileSync(node.log, join(directory, `${node.name}.log`));
  say(`kept the logs of the agents in ${directory}`);
}

function expectedErrors(struck: readonly Struck[]): ReadonlyMap<string, ReadonlySet<string>> {
  const all = struck.flatMap(({ fault, target }) => {
    const errors = FAULTS.find(({ name }) => name === fault)?.errors ?? [];
    return errors.map((sentence) => [`node${target}`, sentence] as const);
  });
  const byNode = Map.groupBy(all, ([node]) => node);
  return new Map([...byNode].map(([node, pairs]) => [node, new Set(pairs.map(([, sentence]) => sentence))]));
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { minutes: { type: "string" }, seed: { type: "string" }, "write-docs": { type: "boolean" } },
  });
  const minutes = Number(values.minutes ?? 10);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6));
  if (!(minutes >= 0.5 && minutes <= 1440) || !Number.isInteger(seed)) {
    process.stderr.write("chaos: give --minutes from 0.5 to 1440 and --seed as a whole number\n");
    return 2;
  }
  const problems = await obstacles({ tun: true });
  for (const problem of problems) process.stderr.write(`chaos: ${problem}\n`);
  if (problems.length > 0) return 1;
  const report = await run(minutes, seed);
  const file = join(TOP, "dist/chaos.md");
  mkdirSync(dirname(file), { recursive: true });
  const body = chaosDocument(report);
  const text = await format(`# Chaos\n\n${body}`, { parser: "markdown", printWidth: 120 });
  writeFileSync(file, text);
  if (values["write-docs"] === true) await writeSection("chaos", body);
  say(`\n${text}\nwrote ${file}`);
  return chaosPassed(report) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`chaos: ${describeError(error)}\n`);
  process.exitCode = 1;
}
