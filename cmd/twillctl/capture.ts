import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseAddr } from "../../pkg/addr/addr.ts";
import { RefusedError } from "../../pkg/api/control.ts";
import { errorCode } from "../../pkg/base/errors.ts";
import { overlayDevices } from "../../pkg/diagnosis/surroundings.ts";
import { LinuxHost } from "../../pkg/host/linux-host.ts";
import { type Call, EXIT, type Outcome } from "./command.ts";
import { toJson } from "./to-json.ts";
import { UsageError } from "./usage-error.ts";

const DEFAULT_SECONDS = 10;
// A timer counts milliseconds in 31 bits, and one that is set for longer ends at once.
const MOST_SECONDS = 2_147_483;
const MOST_PACKETS = 9_999_999;

/**
 * Records the overlay's packets on both sides of the tunnel into one pcap file (LINUX_SLL2, which names the interface of
 * each): as pods send them on the overlay's device, and in their datagrams on the underlay. tcpdump does the work.
 */
export async function runCapture(call: Call): Promise<Outcome> {
  const [file = "", target] = call.args;
  const seconds = positive(call, "seconds", MOST_SECONDS) ?? DEFAULT_SECONDS;
  const packets = positive(call, "packets", MOST_PACKETS);
  const filter = await filterOf(call, target);
  const limit = packets === undefined ? [] : ["-c", String(packets)];
  const argv = ["-i", "any", "-y", "LINUX_SLL2", "-Z", "root", "-n", "-U", "-s", "0", ...limit, "-w", file, filter];
  const said = await tcpdump(argv, seconds * 1000, call.signal);
  const captured = Number(/^(\d+) packets? captured/m.exec(said)?.[1] ?? 0);
  const text = `${captured} packets in ${file}: tshark -r ${file} -d udp.port==${await portOf(call)},vxlan\n`;
  const shown = call.json ? toJson({ file, packets: captured, filter }) : text;
  if (file !== "-") return { text: shown, code: EXIT.ok };
  // The packets themselves are on stdout.
  call.tell(shown);
  return { text: "", code: EXIT.ok };
}

async function filterOf(call: Call, target: string | undefined): Promise<string> {
  const agent = await call.agent();
  const [status, leases] = await Promise.all([agent.status(), agent.leases()]);
  if (!status.network || !status.underlay) throw new RefusedError("the overlay is not open yet: see twillctl status");
  const links = await new LinuxHost().links();
  const names = new Set(overlayDevices(status));
  const inner = links.filter(({ name }) => names.has(name)).map(({ index }) => `ifindex ${index}`);
  const underlay = links.find(({ name }) => name === status.underlay?.interface);
  if (inner.length === 0 || !underlay)
    throw new RefusedError("the overlay has no device on this host: there is nothing to capture with host-gw");
  const addr = target === undefined ? undefined : parseAddr(target);
  const node = addr ? undefined : leases.find(({ nodeName, nodeId }) => target === nodeName || target === nodeId);
  if (target !== undefined && !addr && !node)
    throw new RefusedError(`no node is called ${JSON.stringify(target)}: see twillctl leases`);
  const among = (parts: readonly string[]): string => (parts.length === 0 ? "" : ` and (${parts.join(" or ")})`);
  // Of a datagram in pieces only the first has the port.
  const outer = `ifindex ${underlay.index} and (udp port ${status.network.port} or ip[6:2] & 0x1fff != 0)`;
  const outside = among(node ? node.publicIps.map((text) => `host ${text}`) : []);
  const inside = among(addr ? [`host ${target}`] : (node?.subnets.map((text) => `net ${text}`) ?? []));
  return `(${outer}${outside}) or ((${inner.join(" or ")})${inside})`;
}

async function portOf(call: Call): Promise<number> {
  return (await (await call.agent()).status()).network?.port ?? 0;
}

async function tcpdump(argv: readonly string[], ms: number, signal: AbortSignal): Promise<string> {
  const timer = AbortSignal.timeout(ms);
  const child = spawn("tcpdump", argv, { stdio: ["ignore", "inherit", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const stop = (): void => void child.kill("SIGINT");
  for (const each of [signal, timer]) each.addEventListener("abort", stop, { once: true });
  try {
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) throw new RefusedError(`tcpdump failed: ${said.trim().split("\n").at(-1)}`);
    return said;
  } catch (error) {
    if (errorCode(error) === "ENOENT") throw new RefusedError("tcpdump is not installed: apt install tcpdump");
    throw error;
  } finally {
    child.kill();
    for (const each of [signal, timer]) each.removeEventListener("abort", stop);
  }
}

function positive(call: Call, name: string, most: number): number | undefined {
  const text = call.flags.get(name);
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,6}$/.test(text) || Number(text) > most)
    throw new UsageError(`--${name} is ${JSON.stringify(text)}: give a number from 1 to ${most}`);
  return Number(text);
}
