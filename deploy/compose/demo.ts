// Shows that everybody in the compose lab reaches everybody: a matrix of pings, from pods and nodes to pods, and one of
// TCP throughput between nodes. Ends with 1 where somebody does not.
//   demo.mjs NODE...     each with the volume of its /run at /nodes/NODE
// DEMO_SECONDS is how long one measurement of throughput takes; 0 measures none.

import { setTimeout as delay } from "node:timers/promises";
import { bitRate, lossLine, pingTable, table } from "../../cmd/lab/table.ts";
import { firstReplies, lostPackets, pingMatrix, type Source, type Target } from "../../pkg/lab/ping.ts";
import { iperfClient, iperfRate } from "../../pkg/lab/throughput.ts";
import { nodeState, Place, PODS_PORT } from "./node-socket.ts";

const WAIT_MS = 60_000;
const POLL_MS = 100;

/** A pod that can be asked and reached. */
type DemoPod = Source & Target & { readonly node: string };

const seconds = Number(process.env["DEMO_SECONDS"] || 1);
const nodes = process.argv.slice(2);
const sockets = new Map(nodes.map((node) => [node, `/nodes/${node}/node.sock`]));
process.once("SIGTERM", () => process.exit(1));
process.once("SIGINT", () => process.exit(1));
try {
  process.exitCode = (await demonstrate()) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function demonstrate(): Promise<boolean> {
  const pods = (await Promise.all([...sockets].map(([node, socket]) => podsOf(node, socket)))).flat();
  console.log(table([["POD", "ADDRESS", "NODE"], ...pods.map((pod) => [pod.name, pod.address, pod.node])]));
  const places = [...sockets].map(([name, socket]): Source => ({ name, netns: new Place(socket) }));

  const sources = [...places, ...pods];
  const silent = await firstReplies(sources, pods);
  if (silent.length > 0) console.log(`\nNo reply: ${silent.join(", ")}`);
  const matrix = await pingMatrix(sources, pods);
  console.log(`\nPing, mean round trip in ms or packets lost in %: ${lossLine(matrix)}`);
  console.log(pingTable(matrix, process.stdout.isTTY));
  // What does not even answer pings would only take its time to fail.
  const reachable = silent.length === 0 && lostPackets(matrix).lost === 0;
  const measured = !reachable || seconds === 0 || (await throughput(pods));
  console.log(reachable && measured ? "\nEverybody reaches everybody." : "\nNot everybody reaches everybody.");
  return reachable && measured;
}

// Waits until the node runs and all its pods are attached.
async function podsOf(node: string, socket: string): Promise<DemoPod[]> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const problem = await nodeState(socket).then(
      ({ pods }) => {
        const found = pods.flatMap(({ name, address }) =>
          address === undefined ? [] : [{ name, address, node, netns: new Place(socket, name) }],
        );
        return found.length === pods.length ? found : `${pods.length - found.length} pods of ${node} have no network`;
      },
      (error: Error) => `${node} does not answer: ${error.message}`,
    );
    if (typeof problem !== "string") return problem;
    if (performance.now() > deadline) throw new Error(`${problem}, after ${WAIT_MS / 1000} s; look at its log`);
    await delay(POLL_MS);
  }
}

// One after another, since all share a machine.
async function throughput(pods: readonly DemoPod[]): Promise<boolean> {
  const firsts = nodes.flatMap((node) => pods.find((pod) => pod.node === node) ?? []);
  const rows: string[][] = [["", ...firsts.map((pod) => pod.name)]];
  const problems: string[] = [];
  for (const from of firsts) {
    const cells: string[] = [];
    for (const to of firsts) {
      if (from === to) {
        cells.push("-");
        continue;
      }
      const argv = iperfClient(to.address, { port: PODS_PORT, seconds });
      try {
        const rate = iperfRate(argv, await from.netns.capture(argv, { timeout: seconds * 1000 + 10_000 }));
        cells.push(bitRate(rate));
        if (rate === 0) problems.push(`${from.name} -> ${to.name}: nothing arrived`);
      } catch (error) {
        cells.push("failed");
        problems.push(`${from.name} -> ${to.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    rows.push([from.name, ...cells]);
  }
  console.log(`\nTCP, iperf3, one stream for ${seconds} s\n${table(rows)}`);
  for (const problem of problems) console.log(`  ${problem}`);
  return problems.length === 0;
}
