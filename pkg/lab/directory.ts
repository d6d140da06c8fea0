import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sleep, systemClock } from "../base/clock.ts";
import { ConfigError, errorCode } from "../base/errors.ts";
import type { Entry } from "./netns.ts";
import { isAlive, mountNamespace, type ProcessId, processesIn, signalProcess } from "./proc.ts";

/** What a lab writes down of itself in lab.json, so that another process can enter it, stop it or clear it away. */
export interface LabState {
  readonly name: string;
  /** The process that started the lab and stops it. */
  readonly owner: ProcessId;
  readonly holder: ProcessId | undefined;
  readonly entry: Entry | undefined;
  /** The mount namespace of all its processes, as the kernel names it. */
  readonly mount: string | undefined;
  /** twilld and etcd, whichever run. */
  readonly processes: readonly ProcessId[];
  readonly etcdEndpoint: string;
  readonly etcdPrefix: string;
  readonly nodes: readonly { readonly name: string; readonly address: string; readonly directory: string }[];
  readonly pods: readonly { readonly name: string; readonly node: string; readonly address: string }[];
}

const STATE_FILE = "lab.json";
// How old a directory without a state file must be before it counts as left over: its owner writes the file at once.
const STARTING_MS = 60_000;
const STOP_MS = 8000;

/** Where this user's labs have their directories. Short, since a unix socket's path has at most 107 bytes (unix(7)). */
export function labsDirectory(): string {
  return join(tmpdir(), `twill-lab-${process.geteuid?.() ?? 0}`);
}

/** Makes the directory of a lab. Throws a ConfigError where a lab of that name runs, or where all labs' directory is not ours. */
export function makeLabDirectory(name: string): string {
  const base = labsDirectory();
  mkdirSync(base, { recursive: true, mode: 0o700 });
  checkOwner(base);
  const directory = join(base, name);
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (cause) {
    if (errorCode(cause) !== "EEXIST") throw new Error(`cannot make the lab's directory ${directory}`, { cause });
    const owner = readState(name)?.owner.pid;
    throw new ConfigError(
      [
        `a lab named ${name} is already running${owner === undefined ? "" : ` (process ${owner})`}: ` +
          `stop it with \`npm run lab -- down --name ${name}\`, or choose another --name`,
      ],
      { cause },
    );
  }
  return directory;
}

export function writeState(directory: string, state: LabState): void {
  const file = join(directory, STATE_FILE);
  writeFileSync(`${file}.new`, `${JSON.stringify(state, undefined, 2)}\n`);
  renameSync(`${file}.new`, file);
}

// In a directory that everybody may write to, another user could have made ours first, to have us signal processes and
// remove files of that user's choice.
function checkOwner(base: string): void {
  const stat = lstatSync(base, { throwIfNoEntry: false });
  if (stat && (!stat.isDirectory() || stat.uid !== process.geteuid?.())) {
    throw new ConfigError([`${base} belongs to somebody else: remove it, or set TMPDIR to a directory of your own`]);
  }
}

/** What the lab of that name has written; undefined where there is none, or none that can be read. */
export function readState(name: string): LabState | undefined {
  checkOwner(labsDirectory());
  try {
    return JSON.parse(readFileSync(join(labsDirectory(), name, STATE_FILE), "utf8")) as LabState;
  } catch {
    return undefined;
  }
}

/** The names of this user's labs, running or left over. */
export function labNames(): string[] {
  checkOwner(labsDirectory());
  try {
    return readdirSync(labsDirectory()).sort();
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** Whether the process that started the lab is gone without having stopped it. */
export function isLeftOver(name: string): boolean {
  const state = readState(name);
  if (state) return !isAlive(state.owner);
  const stat = lstatSync(join(labsDirectory(), name), { throwIfNoEntry: false });
  return stat !== undefined && systemClock.wall() - stat.mtimeMs > STARTING_MS;
}

/** Clears away what labs of dead owners have left: processes and directories. Returns their names. */
export async function removeLeftOvers(): Promise<string[]> {
  const names = labNames().filter(isLeftOver);
  for (const name of names) await removeLab(name);
  return names;
}

/**
 * Stops a lab from outside: asks its owner, and clears away by itself what a dead or stuck one leaves. Returns false
 * where there is no lab of that name.
 */
export async function removeLab(name: string): Promise<boolean> {
  if (!labNames().includes(name)) return false;
  const state = readState(name);
  if (state && isAlive(state.owner)) {
    signalProcess(state.owner, "SIGTERM");
    const deadline = systemClock.now() + STOP_MS;
    while (isAlive(state.owner) && systemClock.now() < deadline) await sleep(systemClock, 20);
    signalProcess(state.owner, "SIGKILL");
  }
  if (state) await killProcesses(state);
  removeDirectory(join(labsDirectory(), name));
  return true;
}

/** Removes a lab's directory, and the directory of all labs with the last one. */
export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  try {
    rmdirSync(labsDirectory());
  } catch {
    // Other labs are in it, or somebody was faster.
  }
}

/**
 * Kills every process of the lab: those written down, and whatever else lives in its mount namespace. A namespace's
 * number may be used again once it is gone, so it is trusted only while a process that is surely ours is in it.
 */
export async function killProcesses(lab: Pick<LabState, "holder" | "processes" | "mount">): Promise<void> {
  const deadline = systemClock.now() + STOP_MS;
  while (systemClock.now() < deadline) {
    const known = [...(lab.holder ? [lab.holder] : []), ...lab.processes].filter(isAlive);
    const ours = known.some((id) => lab.mount !== undefined && mountNamespace(id.pid) === lab.mount);
    const others = ours && lab.mount !== undefined ? processesIn(lab.mount) : [];
    // The holder last: it keeps the namespace ours while the others end.
    const victims = [...known, ...others].filter((id) => id.pid !== lab.holder?.pid);
    if (victims.length === 0) {
      if (!lab.holder || !signalProcess(lab.holder, "SIGKILL")) return;
    } else {
      for (const id of victims) signalProcess(id, "SIGKILL");
    }
    await sleep(systemClock, 5);
  }
}
