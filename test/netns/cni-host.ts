import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const PLUGINS = "/usr/lib/cni";

/** Why the tests of the plugin cannot run here; undefined when they can. */
export function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root to make network namespaces";
  for (const plugin of ["bridge", "host-local", "portmap"]) {
    if (!existsSync(join(PLUGINS, plugin)))
      return `needs ${PLUGINS}/${plugin}: apt install containernetworking-plugins`;
  }
  return undefined;
}

export type Json = Record<string, unknown>;

/** What a plugin answered. */
export interface Answer {
  readonly status: number | null;
  /** Standard output as JSON; {} where there was none. */
  readonly out: Json;
  readonly stderr: string;
}

export interface PluginCall {
  readonly container?: string;
  readonly netns?: string;
  readonly ifname?: string;
  readonly path?: string;
}

let serial = 0;

/** A node as the plugin sees one: a network namespace of its own, subnet.env, directories; and pods in others. */
export class CniHost {
  readonly top = mkdtempSync(join(tmpdir(), "cni-host-"));
  readonly netns: string;
  readonly #program: readonly string[];
  readonly #namespaces: string[] = [];
  readonly #children: ChildProcess[] = [];

  /** `program` is how twill-cni is started: an interpreter and a bundle. */
  constructor(program: readonly string[]) {
    this.#program = program;
    this.netns = this.namespace();
  }

  /** Makes a network namespace with a fresh name and returns its path. */
  namespace(): string {
    const name = `twcni-${process.pid}-${serial++}`;
    execFileSync("ip", ["netns", "add", name]);
    this.#namespaces.push(name);
    execFileSync("ip", ["-n", name, "link", "set", "lo", "up"]);
    return join("/run/netns", name);
  }

  /** Writes subnet.env as the agent would. */
  subnetEnv(subnet = "10.5.49.1/24", more = ""): void {
    const text = `FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=${subnet}\n${more}FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n`;
    writeFileSync(join(this.top, "subnet.env"), text);
  }

  /** A netconf of flannel's kind whose files all lie in this host's directory. */
  netconf(more: Json = {}): Json {
    return {
      name: "cbr0",
      cniVersion: "1.1.0",
      type: "twill",
      subnetFile: join(this.top, "subnet.env"),
      dataDir: join(this.top, "twill"),
      runDir: join(this.top, "run"),
      delegate: { hairpinMode: true, isDefaultGateway: true },
      ipam: { dataDir: join(this.top, "ipam") },
      ...more,
    };
  }

  twill(verb: string, conf: Json | string, call: PluginCall = {}): Promise<Answer> {
    return this.#plugin(this.#program, verb, conf, call);
  }

  /** Another plugin, as a runtime calls it. */
  plugin(type: string, verb: string, conf: Json, call: PluginCall = {}): Promise<Answer> {
    return this.#plugin([join(PLUGINS, type)], verb, conf, call);
  }

  /** Runs a program in a namespace to its end and returns what it printed. Rejects when it fails. */
  async inside(netns: string, ...command: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.#run(netns, command, process.env, "");
    if (status !== 0) throw new Error(`${command.join(" ")} ended with ${status}: ${stderr || stdout}`);
    return stdout;
  }

  /** Starts a program in a namespace; it is killed by close. */
  start(netns: string, ...command: string[]): ChildProcess {
    const child = spawn("nsenter", [`--net=${netns}`, ...command], { stdio: ["ignore", "pipe", "inherit"] });
    this.#children.push(child);
    return child;
  }

  /** Addresses that host-local has given out in the network. */
  leased(network = "cbr0"): string[] {
    const dir = join(this.top, "ipam", network);
    return existsSync(dir) ? readdirSync(dir).filter((name) => /^[0-9a-f]+[.:]/.test(name)) : [];
  }

  /** Names of the files in which twill-cni remembers attachments. */
  remembered(): string[] {
    const dir = join(this.top, "twill");
    return existsSync(dir) ? readdirSync(dir).sort() : [];
  }

  /** The host's ends of pods' veth pairs. */
  async veths(): Promise<string[]> {
    const links = JSON.parse(await this.inside(this.netns, "ip", "-j", "link")) as { ifname: string }[];
    return links.map(({ ifname }) => ifname).filter((name) => name.startsWith("veth"));
  }

  close(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    for (const name of this.#namespaces) execFileSync("ip", ["netns", "del", name]);
    rmSync(this.top, { recursive: true, force: true });
  }

  async #plugin(program: readonly string[], verb: string, conf: Json | string, call: PluginCall): Promise<Answer> {
    const env = {
      PATH: process.env["PATH"],
      CNI_COMMAND: verb,
      CNI_CONTAINERID: call.container ?? "c1",
      CNI_NETNS: call.netns ?? "",
      CNI_IFNAME: call.ifname ?? "eth0",
      CNI_PATH: call.path ?? PLUGINS,
    };
    const stdin = typeof conf === "string" ? conf : JSON.stringify(conf);
    const { status, stdout, stderr } = await this.#run(this.netns, program, env, stdin);
    return { status, out: (stdout === "" ? {} : JSON.parse(stdout)) as Json, stderr };
  }

  #run(
    netns: string,
    command: readonly string[],
    env: NodeJS.ProcessEnv,
    stdin: string,
  ): Promise<{ status: number | null; stdout: string; stderr: string }> {
    return new Promise((resolve, reject) => {
      // Not `ip netns exec`, which mounts another /sys.
      const child = spawn("nsenter", [`--net=${netns}`, ...command], { env });
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
      child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
      child.stdin.on("error", () => undefined).end(stdin);
      child.on("error", reject);
      child.on("close", (status) => resolve({ status, stdout, stderr }));
    });
  }
}

/** Bundles twill-cni with the command of `npm run build` and returns the bundle's path. */
export function bundle(dir: string): string {
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };
  const command = scripts["build"]?.split("&&").find((part) => part.includes("cmd/twill-cni/"));
  if (!command) throw new Error("package.json has no build command for cmd/twill-cni");
  const outfile = join(dir, "twill-cni.cjs");
  const [program = "", ...args] = command
    .trim()
    .split(/\s+/)
    .map((arg) => arg.replace(/^--outfile=.*/, `--outfile=${outfile}`));
  execFileSync(join("node_modules/.bin", program), args, { stdio: "inherit" });
  return outfile;
}
