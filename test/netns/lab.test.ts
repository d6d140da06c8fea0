// The lab itself: what it starts, what others can do with it, and that nothing of it is left behind.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep, systemClock } from "../../pkg/base/clock.ts";
import { readState } from "../../pkg/lab/directory.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import { lostPackets, pingMatrix } from "../../pkg/lab/ping.ts";
import { processesIn } from "../../pkg/lab/proc.ts";
import { tcpThroughput } from "../../pkg/lab/throughput.ts";
import { machine, notRoot, rootTitle } from "./netns.ts";

const LAB_LIBRARY = join(import.meta.dirname, "../../pkg/lab/lab.ts");

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = systemClock.now() + 5000;
  while (!condition()) {
    if (systemClock.now() > deadline) throw new Error(`still waiting for ${what} after 5 s`);
    await sleep(systemClock, 10);
  }
}

describe.skipIf(notRoot)(rootTitle("an empty lab"), () => {
  test("two labs run at once, unseen by the machine, and leave nothing behind", async () => {
    const before = await machine();
    const labs = await Promise.all([Lab.create(), Lab.create()]);
    try {
      for (const lab of labs) {
        const [a, b] = [await lab.addPlainNode(), await lab.addPlainNode()];
        const ping = await pingMatrix([a], [b, { name: "the same by IPv6", address: b.address6 }]);
        expect(lostPackets(ping)).toEqual({ sent: 6, lost: 0 });
        expect(await lab.etcd.list("/")).toEqual([
          {
            key: "/coreos.com/network/config",
            value: '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}',
            leaseId: "0",
          },
        ]);
      }
      expect(await machine()).toEqual(before);
    } finally {
      await Promise.all(labs.map((lab) => lab.close()));
    }
    expect(await machine()).toEqual(before);
    for (const lab of labs) {
      expect(existsSync(lab.directory)).toBe(false);
      expect(processesIn(lab.namespaces.mount)).toEqual([]);
    }
  });

  test("etcd keeps its keys over a crash", async () => {
    const lab = await Lab.create({ config: "none" });
    try {
      await lab.etcd.put("/a", "1");
      await lab.etcd.kill();
      expect((await lab.etcd.capture(["get", "/a", "--command-timeout=200ms"])).status).not.toBe(0);
      await lab.etcd.start();
      expect(await lab.etcd.list("/a")).toEqual([{ key: "/a", value: "1", leaseId: "0" }]);
    } finally {
      await lab.close();
    }
  });

  test("a name is used once at a time", async () => {
    const lab = await Lab.create();
    try {
      await expect(Lab.create({ name: lab.name })).rejects.toThrow(
        `a lab named ${lab.name} is already running (process ${process.pid}): ` +
          `stop it with \`npm run lab -- down --name ${lab.name}\`, or choose another --name`,
      );
    } finally {
      await lab.close();
    }
  });

  test("a lab whose owner was killed dies with it, and the next one clears its directory away", async () => {
    const program = `
      const { Lab } = await import(${JSON.stringify(LAB_LIBRARY)});
      const lab = await Lab.create();
      await lab.addPlainNode();
      console.log(lab.name);
      setInterval(() => {}, 1000);
    `;
    const owner = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const name = await new Promise<string>((resolve) =>
      owner.stdout.once("data", (text: Buffer) => resolve(String(text).trim())),
    );
    const state = readState(name);
    expect(processesIn(state?.mount ?? "").length).toBeGreaterThanOrEqual(2);
    owner.kill("SIGKILL");
    await until(() => processesIn(state?.mount ?? "").length === 0, "the lab's processes to die");
    const next = await Lab.create();
    await next.close();
    expect(readState(name)).toBeUndefined();
  });
});

describe.skipIf(notRoot)(rootTitle("a lab with nodes"), () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({ nodes: 3, pods: 2 });
  });
  afterAll(() => lab?.close());

  test("every pod and every node reaches every pod", async () => {
    const matrix = await pingMatrix([...lab.nodes, ...lab.pods], lab.pods);
    expect(matrix.results.length).toBe(9);
    expect(lostPackets(matrix)).toEqual({ sent: (9 * 6 - 6) * 3, lost: 0 });
  });

  test("TCP runs between pods of two nodes", async () => {
    const rate = await tcpThroughput(lab.pod(1, 1), lab.pod(2, 1), { seconds: 1, directory: lab.directory });
    expect(rate).toBeGreaterThan(1e6);
  });

  test("programs find nodes and pods by name", async () => {
    await lab.pod(1, 1).netns.run(["ping", "-c", "1", "-W", "2", "pod3.2"]);
    await lab.node(1).run(["ping", "-c", "1", "-W", "2", "node2"]);
  });

  test("a pod leaves and another one comes", async () => {
    const node = lab.node(3);
    const pod = await node.addPod();
    await lab.node(1).run(["ping", "-c", "1", "-W", "2", pod.address]);
    const gone = pod.address;
    await pod.detach();
    expect((await lab.node(1).netns.capture(["ping", "-c", "1", "-W", "1", gone])).status).toBe(1);
    await pod.attach();
    await lab.node(1).run(["ping", "-c", "1", "-W", "2", pod.address]);
  });

  test("a node keeps its subnet and its pods over a restart and a crash", async () => {
    const node = lab.node(2);
    const subnet = node.subnetEnv()["FLANNEL_SUBNET"];
    await node.restart();
    expect(node.subnetEnv()["FLANNEL_SUBNET"]).toBe(subnet);
    await node.kill();
    await node.start();
    await node.ready();
    expect(node.subnetEnv()["FLANNEL_SUBNET"]).toBe(subnet);
    const matrix = await pingMatrix([lab.pod(1, 1)], [lab.pod(2, 1)]);
    expect(lostPackets(matrix).lost).toBe(0);
  });
});

test.skipIf(notRoot)(rootTitle("a start that fails tells why and leaves nothing behind"), async () => {
  const before = await machine();
  const failing = Lab.create({ name: "failing", nodes: 2, args: ["--no-such-flag"] });
  await expect(failing).rejects.toThrow(
    /^twilld on node[12] ended with status \d+; the end of its log:\n.*no-such-flag/s,
  );
  expect(await machine()).toEqual(before);
  expect(readState("failing")).toBeUndefined();
});
