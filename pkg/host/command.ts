import { type ExecFileException, execFile, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";

import { describeError, errorCode } from "../base/errors.ts";

import { HostError } from "./host.ts";

/** What a command said. A code other than 0 is for the caller to judge. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

// A hung tool (a lock that nobody gives back) must not stop the agent for ever.
const TIMEOUT_MS = 15_000;
// Listing a node with 10 000 routes or rules gives a few megabytes of JSON.
const MOST_OUTPUT = 256 * 1024 * 1024;

// PR_SET_PDEATHSIG, prctl(2), by util-linux: the kernel ends the tool with the thread that started it.
const DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL", "--"] as const;

// The Debian package of each tool, for the sentence that tells the operator what to install.
const PACKAGES: Readonly<Record<string, string>> = {
  ip: "iproute2",
  bridge: "iproute2",
  setpriv: "util-linux",
  nft: "nftables",
  "iptables-nft": "iptables",
  "iptables-nft-restore": "iptables",
  "iptables-legacy": "iptables",
  "iptables-legacy-restore": "iptables",
  "ip6tables-nft": "iptables",
  "ip6tables-nft-restore": "iptables",
  "ip6tables-legacy": "iptables",
  "ip6tables-legacy-restore": "iptables",
};

/** Runs a program with its standard input; rejects where it cannot be started, or was killed for taking too long. */
export type Execute = (file: string, args: readonly string[], stdin: string) => Promise<CommandResult>;

/** What a program may take and print, for whoever executes it. */
export const LIMITS = { timeoutMs: TIMEOUT_MS, mostOutput: MOST_OUTPUT } as const;

/** Runs tools and touches files of /proc, in one network namespace. Argument vectors only: there is no shell. */
export class Commands {
  readonly #netns: string | undefined;
  readonly #onRun: (tool: string) => void;
  readonly #execute: Execute;

  /** `netns` names a namespace of ip-netns(8); undefined is the one we live in. `onRun` is told of each tool started. */
  constructor(netns?: string, onRun: (tool: string) => void = () => undefined, execute: Execute = executeByNode) {
    this.#netns = netns;
    this.#onRun = onRun;
    this.#execute = execute;
  }

  /** Throws a HostError when the tool is not installed, cannot be started or does not end in time. */
  async run(tool: string, args: readonly string[], stdin = ""): Promise<CommandResult> {
    const [file, argv] = this.#command(tool, args);
    this.#onRun(tool);
    try {
      return await this.#execute(file, argv, stdin);
    } catch (error) {
      throw cannotRun(tool, error);
    }
  }

  /**
   * Runs a tool that tells what happens until it is stopped, and hands on each line. Resolves when the signal has stopped
   * it; throws a HostError when it could not be started or has ended by itself. It does not outlive this process, however
   * that ends.
   */
  follow(tool: string, args: readonly string[], onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
    const [file, argv] = this.#command(tool, args);
    return new Promise((resolve, reject) => {
      const wrapped = [...DIE_WITH_PARENT.slice(1), file, ...argv];
      const child = spawn(DIE_WITH_PARENT[0], wrapped, {
        stdio: ["ignore", "pipe", "ignore"],
        signal,
        killSignal: "SIGKILL",
      });
      let rest = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) onLine(line);
      });
      child.on("error", (error) => (signal.aborted ? undefined : reject(cannotRun(DIE_WITH_PARENT[0], error))));
      child.on("close", (code) => {
        if (signal.aborted) resolve();
        else reject(new HostError(`${tool} ${args.join(" ")} ended with code ${code}`));
      });
    });
  }

  /** The text of a file at once, undefined when it cannot be read. */
  readSync(path: string): string | undefined {
    try {
      if (this.#netns === undefined) return readFileSync(path, "utf8");
      return execFileSync("ip", ["netns", "exec", this.#netns, "cat", path], { encoding: "utf8" });
    } catch {
      return undefined;
    }
  }

  #command(tool: string, args: readonly string[]): [file: string, argv: readonly string[]] {
    return this.#netns === undefined ? [tool, args] : ["ip", ["netns", "exec", this.#netns, tool, ...args]];
  }

  /** The text of a file without its last newline, undefined when there is no such file. */
  async read(path: string): Promise<string | undefined> {
    if (this.#netns !== undefined) {
      const { code, stdout, stderr } = await this.run("cat", [path]);
      if (code === 0) return stdout.replace(/\n$/, "");
      if (stderr.includes("No such file")) return undefined;
      throw new HostError(`cannot read ${path}: ${stderr.trim()}`);
    }
    try {
      // These are files of /proc and the like, which no disk holds up: four ways through the thread pool for each, once a
      // second, were more than half of what an idle agent cost.
      return readFileSync(path, "utf8").replace(/\n$/, "");
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw new HostError(`cannot read ${path}`, { cause: error });
    }
  }

  /** Throws a HostError whose message is the reason alone. */
  async write(path: string, text: string): Promise<void> {
    if (this.#netns !== undefined) {
      const { code, stderr } = await this.run("tee", [path], text);
      if (code !== 0) throw new HostError(stderr.trim().replace(/^.*: /s, ""));
      return;
    }
    try {
      await writeFile(path, text, { flag: "r+" });
    } catch (error) {
      throw new HostError(reason(error), { cause: error });
    }
  }
}

function executeByNode(file: string, args: readonly string[], stdin: string): Promise<CommandResult> {
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
  const options = { encoding: "utf8", timeout: TIMEOUT_MS, killSignal: "SIGKILL", maxBuffer: MOST_OUTPUT } as const;
  const ended: Ended = (error, stdout, stderr) => {
    if (!error) resolve({ code: 0, stdout, stderr });
    else if (typeof error.code === "number") resolve({ code: error.code, stdout, stderr });
    else reject(error);
  };
  try {
    const child = execFile(file, args, options, ended);
    // A tool that ends without reading all of its input gives EPIPE here; its exit code says why.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(stdin);
  } catch (error) {
    // Node throws some errors of starting (E2BIG) instead of telling the callback.
    reject(error);
  }
  return promise;
}

type Ended = (error: ExecFileException | null, stdout: string, stderr: string) => void;

function cannotRun(tool: string, error: unknown): HostError {
  if (errorCode(error) === "ENOENT") {
    const name = PACKAGES[tool];
    const advice = name === undefined ? "" : ` (package ${name})`;
    const install = name === undefined ? "" : `: apt install ${name}`;
    return new HostError(`${tool}${advice} is not installed${install}`);
  }
  if (error instanceof Error && "killed" in error && error.killed === true)
    return new HostError(`${tool} did not end within ${TIMEOUT_MS / 1000} seconds`);
  return new HostError(`cannot run ${tool}`, { cause: error });
}

// As the C library words them, which is what the tools print.
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "No such file or directory",
  EACCES: "Permission denied",
  EPERM: "Permission denied",
  EROFS: "Read-only file system",
  EINVAL: "Invalid argument",
};

function reason(error: unknown): string {
  return REASONS[errorCode(error) ?? ""] ?? describeError(error);
}
