import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseInterfaceAddr, parsePrefix } from "../addr/prefix.ts";
import { type AgentState, writeAgentStatus } from "./agent-status.ts";
import type { PodNetwork } from "./delegate-conf.ts";
import type { JsonObject } from "./json.ts";
import { runPlugin } from "./run.ts";

/** The versions that the plugins of Debian 12 speak. */
export const DEBIAN_12 = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"];

export interface Asked {
  /** Added to a netconf whose files all lie in `top`. */
  readonly conf?: object;
  readonly env?: Record<string, string>;
  /** Instead of a netconf. */
  readonly stdin?: string;
}

/**
 * For tests: calls the plugin as a container runtime does, with delegates that are shell scripts. These refuse
 * versions that are not theirs, write down how they were called and answer from a file `<VERB>.json`, or fail with the file `<VERB>.error`.
 */
export class FakeRuntime {
  readonly top = mkdtempSync(join(tmpdir(), "plugin-"));
  /** The container's namespace: one that everybody has. */
  readonly netns = "/proc/self/ns/net";
  readonly warnings: string[] = [];
  /** Interfaces that the container's namespace has. */
  interfaces: readonly string[] = [];
  /** What reading subnet.env gives. */
  subnetEnv: () => PodNetwork | undefined = () => LEASED;

  install(type: string, versions: readonly string[] = DEBIAN_12): void {
    mkdirSync(join(this.top, "answers", type), { recursive: true });
    mkdirSync(join(this.top, "bin"), { recursive: true });
    this.answer(type, "VERSION.json", { cniVersion: "1.0.0", supportedVersions: versions });
    const script = `#!/bin/sh
stdin=$(cat)
if [ "$CNI_COMMAND" != VERSION ]; then
  version=$(printf %s "$stdin" | sed -n 's/.*"cniVersion":"\\([^"]*\\)".*/\\1/p')
  case ' ${versions.join(" ")} ' in *" \${version:-0.1.0} "*) ;; *) echo '{"code":1,"msg":"incompatible CNI versions"}'; exit 1 ;; esac
  printf '%s %s %s|%s\\t%s\\n' "$CNI_COMMAND" "$CNI_CONTAINERID" "$CNI_IFNAME" "$CNI_NETNS" "$stdin" >>'${join(this.top, "calls")}'
fi
cd '${join(this.top, "answers", type)}'
if [ -e "$CNI_COMMAND.error" ]; then cat "$CNI_COMMAND.error"; exit 1; fi
if [ -e "$CNI_COMMAND.json" ]; then cat "$CNI_COMMAND.json"; fi
`;
    writeFileSync(join(this.top, "bin", type), script);
    chmodSync(join(this.top, "bin", type), 0o755);
  }

  answer(type: string, file: string, content: unknown): void {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    writeFileSync(join(this.top, "answers", type, file), text);
  }

  agent(state: AgentState, message: string): void {
    writeAgentStatus(join(this.top, "run"), { state, message });
  }

  run(verb: string, asked: Asked = {}): { code: number; msg: string; out: JsonObject } {
    const { top, netns } = this;
    const env = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: "c1",
      CNI_NETNS: netns,
      CNI_IFNAME: "eth0",
      CNI_PATH: `${join(top, "empty")}:${join(top, "bin")}`,
      ...asked.env,
    };
    const paths = { subnetFile: join(top, "subnet.env"), dataDir: join(top, "data"), runDir: join(top, "run") };
    const stdin = asked.stdin ?? JSON.stringify({ name: "cbr0", cniVersion: "1.0.0", ...paths, ...asked.conf });
    const { stdout, error } = runPlugin(env, () => stdin, {
      readPodNetwork: () => this.subnetEnv(),
      interfaceExists: (_netns, ifname) => this.interfaces.includes(ifname),
      warn: (sentence) => this.warnings.push(sentence),
    });
    const out = (stdout === "" ? {} : JSON.parse(stdout)) as JsonObject;
    return { code: error?.code ?? 0, msg: error ? String(out["msg"]) : "", out };
  }

  /** What the delegates were asked since the last forget, without VERSION: "ADD c1 eth0|netns", and the netconf. */
  calls(): { readonly how: string; readonly conf: JsonObject }[] {
    const path = join(this.top, "calls");
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    return lines.map((line) => {
      const [how = "", stdin = ""] = line.split("\t");
      return { how, conf: JSON.parse(stdin) as JsonObject };
    });
  }

  forget(): void {
    rmSync(join(this.top, "calls"), { force: true });
  }

  /** Names of the files in which the plugin remembers attachments. */
  files(): string[] {
    const dir = join(this.top, "data");
    return existsSync(dir) ? readdirSync(dir).sort() : [];
  }

  close(): void {
    rmSync(this.top, { recursive: true, force: true });
  }
}

const LEASED: PodNetwork = {
  network: { 4: [fixture(parsePrefix("10.5.0.0/16"))] },
  subnet: { 4: fixture(parseInterfaceAddr("10.5.1.1/24")) },
  mtu: 1450,
  ipMasq: true,
};

function fixture<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("a fixture does not parse");
  return value;
}
