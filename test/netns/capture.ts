import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "../../pkg/lab/lab.ts";
import { until } from "../until.ts";
import type { End } from "./tcp.ts";

// VXLAN, and fragments of whatever kind.
const FILTER = "udp port 8472 or ip[6:2] & 0x3fff != 0 or ip6 proto 44";
const BUFFER_KIB = 65_536;

const MARK = "twill: the end";
const TAIL_LEN = 65_536;

/**
 * Records what crosses a port of the lab's underlay from now on. Returns what ends it and gives the pcap file's path. So
 * that nothing is missing, the end is marked by a ping from one pod to another that has to cross the port.
 */
export async function capture(lab: Lab, port: string, from: End, to: End): Promise<() => Promise<string>> {
  const file = join(lab.directory, `${port}.pcap`);
  const log = `${file}.log`;
  const tcpdump = await lab.underlay.start(
    ["tcpdump", "-Z", "root", "-U", "-n", "-s", "0", "-B", String(BUFFER_KIB), "-i", port, "-w", file, FILTER],
    { name: `tcpdump on ${port}`, log },
  );
  const reached = async (condition: () => boolean): Promise<void> =>
    until(() => {
      if (!tcpdump.running) throw new Error(`tcpdump ${tcpdump.describeEnding()}: ${tcpdump.tail(2).join("; ")}`);
      return condition();
    });
  await reached(() => readFileSync(log, "utf8").includes("listening on"));
  return async () => {
    const pattern = Buffer.from(MARK).toString("hex");
    await from.netns.run(["ping", "-c", "1", "-s", "100", "-p", pattern, to.address]);
    await reached(() => tail(file).includes(MARK));
    await tcpdump.stop();
    return file;
  };
}

function tail(file: string): string {
  const fd = openSync(file, "r");
  try {
    const bytes = Buffer.alloc(TAIL_LEN);
    const length = readSync(fd, bytes, 0, TAIL_LEN, Math.max(0, fstatSync(fd).size - TAIL_LEN));
    return bytes.toString("latin1", 0, length);
  } finally {
    closeSync(fd);
  }
}
