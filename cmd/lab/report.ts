import type { KeyValue } from "../../pkg/lab/etcd-server.ts";
import type { Lab } from "../../pkg/lab/lab.ts";
import { firstReplies, lostPackets, pingMatrix } from "../../pkg/lab/ping.ts";
import { tcpThroughput } from "../../pkg/lab/throughput.ts";
import type { Progress, Screen } from "./progress.ts";
import { bitRate, lossLine, pingTable, table } from "./table.ts";

const THROUGHPUT_S = 2;

/** Shows the leases, pings everybody from everywhere and measures a TCP stream. Returns whether all of it worked. */
export async function report(lab: Lab, screen: Screen, progress: Progress): Promise<boolean> {
  progress.show({ title: "first replies", done: 0, of: 1 });
  const silent = await firstReplies([...lab.nodes, ...lab.pods], lab.pods);
  progress.show({ title: "first replies", done: 1, of: 1 });
  if (silent.length > 0) screen.write(`  no reply: ${silent.join(", ")}\n`);

  const leases = await lab.etcd.list(`${lab.prefix}/subnets/`);
  screen.write(`\nLeases\n${table(leaseRows(leases, lab))}\n`);
  if (lab.pods.length === 0) return silent.length === 0;

  const matrix = await pingMatrix([...lab.nodes, ...lab.pods], lab.pods);
  screen.write(
    `\nPing, mean round trip in ms or packets lost in %: ${lossLine(matrix)}\n${pingTable(matrix, screen.terminal)}\n`,
  );
  const measured = await throughput(lab, screen);
  return silent.length === 0 && lostPackets(matrix).lost === 0 && measured;
}

async function throughput(lab: Lab, screen: Screen): Promise<boolean> {
  const [from, to] = [lab.nodes[0]?.pods[0], lab.nodes[1]?.pods[0]];
  if (!from || !to) return true;
  const rate = await tcpThroughput(from, to, { seconds: THROUGHPUT_S, directory: lab.directory });
  screen.write(`\nTCP ${from.name} -> ${to.name}: ${bitRate(rate)} (iperf3, one stream, ${THROUGHPUT_S} s)\n`);
  return rate > 0;
}

function leaseRows(leases: readonly KeyValue[], lab: Lab): string[][] {
  const rows = leases.map(({ key, value, leaseId }) => {
    const {
      PublicIP = "",
      BackendType = "",
      BackendData,
    } = JSON.parse(value) as {
      PublicIP?: string;
      BackendType?: string;
      BackendData?: { VtepMAC?: string } | null;
    };
    const node = lab.nodes.find((node) => node.address === PublicIP)?.name ?? "?";
    const subnet = key.slice(key.lastIndexOf("/") + 1).replace("-", "/");
    return [subnet, node, PublicIP, BackendType, BackendData?.VtepMAC ?? "", leaseId];
  });
  return [["SUBNET", "NODE", "PUBLIC IP", "BACKEND", "VTEP MAC", "ETCD LEASE"], ...rows];
}
