// A host whose clock jumps by hours, and one whose disk is full. The machine's own clock is not touched: libfaketime stands
// between the agent and it.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { until } from "../until.ts";
import { converse } from "./conversation.ts";
import { notRoot, rootTitle } from "./netns.ts";

const LIBRARY = ["x86_64", "aarch64"]
  .map((arch) => `/usr/lib/${arch}-linux-gnu/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));
const HOUR = 3_600_000;

describe.skipIf(notRoot)(rootTitle("a host with a clock and a disk of its own"), () => {
  let lab: Lab;
  let node: Node;
  let clock: string;

  beforeAll(async () => {
    if (LIBRARY === undefined) throw new Error("libfaketime is missing: sh deploy/setup.sh faketime=faketime");
    lab = await Lab.create({ args: ["--subnet-lease-ttl=1m"] });
    clock = join(lab.directory, "clock");
    setClock("+0");
    node = await lab.addNode({
      env: {
        LD_PRELOAD: LIBRARY,
        FAKETIME_TIMESTAMP_FILE: clock,
        FAKETIME_NO_CACHE: "1",
        FAKETIME_DONT_FAKE_MONOTONIC: "1",
        DONT_FAKE_MONOTONIC: "1",
      },
    });
    const other = await lab.addNode();
    for (const each of [node, other]) {
      await each.start();
      await each.ready();
      await each.addPod();
    }
  });
  afterAll(() => lab?.close());

  /** In the form of faketime(1): "+5h". */
  function setClock(offset: string): void {
    writeFileSync(clock, `${offset}\n`);
  }

  const lines = (level: string): string[] =>
    node
      .logText()
      .split("\n")
      .filter((line) => line.includes(`"level":"${level}"`));
  // As it stands in etcd: seconds left of the lease's 60, and the key.
  async function lease(): Promise<{ key: string; left: number }> {
    const entry = (await lab.etcd.list(`${lab.prefix}/subnets/`)).find(({ value }) =>
      value.includes(`"${node.address}"`),
    );
    if (!entry) throw new Error("the node has no lease");
    const { stdout } = await lab.etcd.ctl(["lease", "timetolive", entry.leaseId]);
    return { key: entry.key, left: Number(/remaining\((\d+)s\)/.exec(stdout)?.[1]) };
  }

  test("a clock that jumps by hours, forwards and then backwards, changes nothing", async () => {
    const { key } = await lease();
    const talking = await converse(lab.pod(1, 1), lab.pod(2, 1), lab.directory);
    const offBy = async (): Promise<number> => {
      const { lease: own } = JSON.parse((await node.ctl(["status", "--json"])).stdout) as {
        lease: { expiresAt: string };
      };
      return Math.round((Number(own.expiresAt) - Date.now()) / HOUR);
    };
    setClock("+7h");
    await until(async () => (await offBy()) === 7);
    expect((await lease()).left).toBeGreaterThan(30);
    setClock("-9h");
    await until(async () => (await offBy()) === -9);
    // By a clock that jumps, the next renewal would come at once or in hours, when the lease is gone.
    await until(async () => (await lease()).left < 45);
    await until(async () => (await lease()).left > 50);
    expect(await lease()).toMatchObject({ key });
    expect((await node.http("/readyz")).status).toBe(200);
    expect(await talking.end()).toMatchObject({ error: null });
    expect([...lines("warn"), ...lines("error")]).toEqual([]);
  });

  test("a full disk is told once, costs no packet and no state, and heals", async () => {
    const { stateDir } = node;
    await node.stop();
    const inNode = (script: string): Promise<unknown> => node.run(["sh", "-ec", script]);
    await inNode(
      `cp -a ${stateDir} ${stateDir}.old; mount -t tmpfs -o size=64k,mode=700 tmpfs ${stateDir}; cp -a ${stateDir}.old/. ${stateDir}`,
    );
    await node.start();
    await node.ready();
    const { key } = await lease();
    await inNode(`dd if=/dev/zero of=${stateDir}/fill bs=1k status=none 2>/dev/null || true`);
    const told = (): number => node.logText().split("cannot save the state").length - 1;
    // Peers come and go, and each time the state would be written.
    const peer = JSON.stringify({ PublicIP: "172.31.1.77", BackendType: "host-gw" });
    for (const subnet of ["10.244.201.0-24", "10.244.202.0-24"]) {
      await lab.etcd.put(`${lab.prefix}/subnets/${subnet}`, peer);
      await until(async () => (await node.ctl(["leases", "--json"])).stdout.includes(subnet.replace("-", "/")));
    }
    await until(() => told() > 0);
    const status = JSON.parse((await node.ctl(["status", "--json"])).stdout) as { problems: string[] };
    expect(status.problems.join()).toMatch(/cannot save .*state\.json: .*ENOSPC/);
    expect((await node.http("/readyz")).status).toBe(200);
    // What stands there is still whole.
    await node.kill();
    await node.start();
    await node.ready();
    expect(await lease()).toMatchObject({ key });
    expect(node.logText()).not.toContain("cannot read the state of the last run");
    // It has two peers to remember, and tries to once a pass has carried them.
    await until(() => told() > 1);
    await inNode(`rm ${stateDir}/fill`);
    await lab.etcd.ctl(["del", `${lab.prefix}/subnets/10.244.201.0-24`]);
    await until(() => node.logText().includes("state saved again"));
    expect(told()).toBe(2);
    await lab.pod(1, 1).netns.run(["ping", "-c", "3", "-i", "0.2", "-W", "1", lab.pod(2, 1).address]);
  });
});
