// A node of the compose lab without its agent: it owns the network namespace that the agent joins, and has pods. A pod
// is an iperf3 server in a network namespace of its own, which twill-cni attaches as a container runtime would.
//   node.mjs POD...

import { type ChildProcess, spawn } from "node:child_process";
import { readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { CONFLIST } from "../../pkg/cni/conflist.ts";
import { capture } from "../../pkg/lab/command.ts";
import { type CniResult, cniMessage, POD_IFNAME } from "../../pkg/lab/pod.ts";
import { NETNS_FILE, type NodeState, PODS_PORT, type RunRequest, SOCKET } from "./node-socket.ts";

// The network as install-cni writes it: here nobody needs ports published.
const [TWILL] = CONFLIST.plugins;
const NETCONF = JSON.stringify({ name: CONFLIST.name, cniVersion: CONFLIST.cniVersion, ...TWILL });
const CNI_PATH = "/opt/cni/bin";
const POLL_MS = 100;

interface Pod {
  readonly name: string;
  /** Path of its network namespace. */
  readonly netns: string;
  /** Undefined until it is attached. */
  address?: string;
}

const ownNetns = readlinkSync("/proc/self/ns/net");
process.once("SIGTERM", () => process.exit(0));
process.once("SIGINT", () => process.exit(0));
const pods = await Promise.all(process.argv.slice(2).map(startPod));
// The file outlives this process, in a volume: whoever reads it compares.
writeFileSync(NETNS_FILE, ownNetns);
await serve(pods);
for (const pod of pods) await attach(pod);

async function startPod(name: string): Promise<Pod> {
  const iperf = ["iperf3", "--server", "--port", String(PODS_PORT)];
  const child = spawn("unshare", ["--net", "--", ...iperf], { stdio: ["ignore", "ignore", "inherit"] });
  child.once("error", (error) => giveUp(`cannot start the pod ${name}: ${error.message}`));
  child.once("exit", (status, signal) => giveUp(`the pod ${name} has ended with ${signal ?? status}`));
  const netns = `/proc/${await entered(child)}/ns/net`;
  await capture(["nsenter", `--net=${netns}`, "ip", "link", "set", "lo", "up"]);
  return { name, netns };
}

// unshare has a pid before it has its namespace.
async function entered(child: ChildProcess): Promise<number> {
  const pid = child.pid ?? giveUp("unshare has no process id");
  while (readlinkSync(`/proc/${pid}/ns/net`) === ownNetns) await delay(1);
  return pid;
}

// The agent may be missing, or not yet ready; the plugin's sentence says which. One line for each new one.
async function attach(pod: Pod): Promise<void> {
  const env = {
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: pod.name,
    CNI_NETNS: pod.netns,
    CNI_IFNAME: POD_IFNAME,
    CNI_PATH,
  };
  let told = "";
  for (;;) {
    const output = await capture([`${CNI_PATH}/${TWILL.type}`], { input: NETCONF, env });
    if (output.status === 0) {
      const { ips } = JSON.parse(output.stdout) as CniResult;
      const address = ips[0]?.address.replace(/\/\d+$/, "") ?? giveUp(`the plugin gave ${pod.name} no address`);
      pod.address = address;
      console.log(`${pod.name} has ${address}`);
      return;
    }
    const why = cniMessage(output);
    if (why !== told) console.log(`${pod.name} waits: ${why}`);
    told = why;
    await delay(POLL_MS);
  }
}

/** Tells who is here, and runs commands in the pods, for whoever may open the socket. */
function serve(pods: readonly Pod[]): Promise<Server> {
  const server = createServer((request, response) => {
    const done = request.method === "POST" ? runIn(request, pods) : state(pods);
    done.then(
      (answer) => response.end(JSON.stringify(answer)),
      (error: Error) => {
        response.statusCode = 500;
        response.end(error.message);
      },
    );
  });
  rmSync(SOCKET, { force: true });
  return new Promise((resolve) => server.listen(SOCKET, () => resolve(server)));
}

async function state(pods: readonly Pod[]): Promise<NodeState> {
  return { pods: pods.map(({ name, address }) => ({ name, address })) };
}

async function runIn(request: IncomingMessage, pods: readonly Pod[]): Promise<unknown> {
  const { pod: name, argv, timeout } = JSON.parse(await text(request)) as RunRequest;
  const pod = pods.find((each) => each.name === name);
  const enter = pod ? ["nsenter", `--net=${pod.netns}`, "--"] : [];
  return capture([...enter, ...argv], timeout === undefined ? {} : { timeout });
}

function giveUp(sentence: string): never {
  console.error(sentence);
  process.exit(1);
}
