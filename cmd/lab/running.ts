import { spawn } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { ConfigError } from "../../pkg/base/errors.ts";
import { isLeftOver, labNames, type LabState, labsDirectory, readState } from "../../pkg/lab/directory.ts";
import { labEnvironment } from "../../pkg/lab/environment.ts";
import { Netns, UnderlayNetns } from "../../pkg/lab/netns.ts";
import { isAlive } from "../../pkg/lab/proc.ts";
import { BIN } from "../../pkg/lab/programs.ts";
import { table } from "./table.ts";

/** The name of the lab that a command is about: the one given, or the only one there is. */
export function chooseLab(name: string | undefined): string {
  const names = labNames();
  if (name !== undefined) {
    if (names.includes(name)) return name;
    throw new ConfigError([`there is no lab named ${name}${names.length > 0 ? `: there is ${names.join(", ")}` : ""}`]);
  }
  const [only, ...others] = names;
  if (only === undefined) throw new ConfigError(["no lab of this user is running: start one with `npm run lab`"]);
  if (others.length > 0) throw new ConfigError([`there are several labs: choose with --name ${names.join(" or ")}`]);
  return only;
}

/** Runs a command in a place of a running lab, on our own terminal. Returns its exit status. */
export function exec(name: string | undefined, place: string, argv: readonly string[]): Promise<number> {
  const state = runningLab(name);
  const netns = findPlace(state, place);
  const node = state.nodes.find((node) => node.name === place);
  const command = argv.length > 0 ? argv : [process.env["SHELL"] ?? "sh"];
  // twillctl finds the agent of the node by this.
  const environment = labEnvironment(node ? { TWILL_SOCKET: join(node.directory, "run/twilld.sock") } : {});
  environment["PATH"] = `${BIN}:${environment["PATH"] ?? ""}`;
  // Entering a mount namespace moves to its root directory.
  return runOnTerminal(netns.commandLine(["env", "-C", process.cwd(), "--", ...command]), environment);
}

/** Runs etcdctl against a running lab's etcd, on our own terminal. Returns its exit status. */
export function etcdctl(name: string | undefined, args: readonly string[]): Promise<number> {
  const state = runningLab(name);
  return runOnTerminal(
    findPlace(state, "underlay").commandLine(["env", "-C", process.cwd(), "--", "etcdctl", ...args]),
    labEnvironment({ ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: state.etcdEndpoint }),
  );
}

/** Copies a log to standard output. */
export async function logs(name: string | undefined, of: string): Promise<void> {
  const lab = chooseLab(name);
  const directory = join(labsDirectory(), lab);
  const node = readState(lab)?.nodes.find((node) => node.name === of);
  const file = node ? join(node.directory, "twilld.log") : join(directory, `${of}.log`);
  if (of.includes("/") || !existsSync(file)) {
    const known = (readState(lab)?.nodes ?? []).map((node) => node.name).join(", ");
    throw new ConfigError([`${lab} has no log of ${of}: there are etcd${known === "" ? "" : `, ${known}`}`]);
  }
  await pipeline(createReadStream(file), process.stdout, { end: false });
}

/** Nodes, pods and processes of a lab, as text. */
export function statusText(name: string | undefined): string {
  const lab = chooseLab(name);
  const state = readState(lab);
  if (!state || isLeftOver(lab)) {
    return `${lab} was not stopped properly; clear it away with \`npm run lab -- down --name ${lab}\``;
  }
  const alive = state.processes.filter(isAlive).length;
  const rows = state.nodes.map(({ name, address }) => {
    const pods = state.pods.filter((pod) => pod.node === name);
    return [name, address, pods.map((pod) => `${pod.name} ${pod.address}`).join(", ")];
  });
  return [
    `${lab}: process ${state.owner.pid}, etcd at ${state.etcdEndpoint}, ${alive} of ${state.nodes.length + 1} daemons running`,
    table([["NODE", "ADDRESS", "PODS"], ...rows]),
    `Files and logs: ${join(labsDirectory(), lab)}`,
  ].join("\n");
}

function runningLab(name: string | undefined): LabState {
  const lab = chooseLab(name);
  const state = readState(lab);
  if (!state?.holder || !isAlive(state.holder)) {
    throw new ConfigError([
      isLeftOver(lab)
        ? `${lab} is not running any more: clear it away with \`npm run lab -- down --name ${lab}\``
        : `${lab} is still starting: try again in a moment`,
    ]);
  }
  return state;
}

function findPlace(state: LabState, place: string): Netns {
  if (!state.entry) throw new ConfigError([`${state.name} is still starting: try again in a moment`]);
  if (place === "underlay" || place === "etcd") return new UnderlayNetns(state.entry);
  const places = [...state.nodes, ...state.pods].map(({ name }) => name);
  if (places.includes(place)) return new Netns(state.entry, place);
  throw new ConfigError([`${state.name} has no ${place}: it has ${["underlay", ...places].join(", ")}`]);
}

function runOnTerminal(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { stdio: "inherit", env });
  // The terminal sends Ctrl-C to the command as well; what comes of it is the command's to say.
  const ignore = (): void => {};
  process.on("SIGINT", ignore);
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => reject(new Error(`cannot run ${program}`, { cause })));
    child.once("exit", (status, signal) => {
      process.off("SIGINT", ignore);
      resolve(status ?? (signal === "SIGINT" ? 130 : 1));
    });
  });
}
