// containerd's own client on two nodes, through the plugin and the network that install-cni puts there.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CONFLIST } from "../../pkg/cni/conflist.ts";
import type { Daemon } from "../../pkg/lab/daemon.ts";
import { addressIn, Containerd, SHOW_ADDRESS } from "./containerd.ts";
import { IMAGE } from "./image.ts";
import { TwoMachines, whyNot } from "./runtimes.ts";
import { type Traces, traces } from "./traces.ts";

const reason = whyNot("/usr/bin/containerd", "/usr/bin/ctr", "/usr/sbin/runc");

describe.skipIf(reason)(`ctr run --cni${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let machines: TwoMachines;
  let one: Containerd;
  let two: Containerd;
  let clean: Traces[];
  beforeAll(async () => {
    machines = await TwoMachines.boot();
    one = await Containerd.start(machines.one, machines.image);
    two = await Containerd.start(machines.two, machines.image);
    // The first one makes what stays: the bridge, and the chains of portmap.
    for (const each of [one, two]) await each.ctr("run", "--rm", "--cni", IMAGE, "first", "true");
    clean = await Promise.all(machines.machines.map(traces));
  });
  afterAll(() => machines?.close());
  afterEach(async () => {
    await Promise.all([one.removeAll(), two.removeAll()]);
    expect(await Promise.all(machines.machines.map(traces))).toEqual(clean);
  });

  async function addressOf(containerd: Containerd, name: string): Promise<string> {
    return addressIn(await containerd.exec(name, SHOW_ADDRESS));
  }

  /** Kills the container; the ctr that waits for it gives its network back, with an empty CNI_NETNS. */
  async function stop(containerd: Containerd, name: string, ctr: Daemon): Promise<void> {
    await containerd.ctr("tasks", "kill", "-s", "SIGKILL", name);
    await ctr.ended;
  }

  test("containers of two nodes reach each other", async () => {
    const [a, b] = await Promise.all([one.run("a"), two.run("b")]);
    await one.exec("a", ["ping", "-c", "1", "-W", "2", await addressOf(two, "b")]);
    await two.exec("b", ["ping", "-c", "1", "-W", "2", await addressOf(one, "a")]);
    await Promise.all([stop(one, "a", a), stop(two, "b", b)]);
  });

  test("12 containers at once get 12 addresses and reach the other node", async () => {
    const peer = await two.run("peer");
    const ping = `${SHOW_ADDRESS.join(" ")}; ping -c 1 -W 5 ${await addressOf(two, "peer")}`;
    const runs = Array.from({ length: 12 }, (_, i) =>
      one.ctr("run", "--rm", "--cni", IMAGE, `many-${i}`, "sh", "-c", ping),
    );
    const printed = await Promise.all(runs);
    expect(new Set(printed.map(addressIn)).size).toBe(printed.length);
    await stop(two, "peer", peer);
  });

  test("containers go on while containerd crashes and comes back", async () => {
    const [a, b] = await Promise.all([one.run("a"), two.run("b")]);
    const [addressA, addressB] = [await addressOf(one, "a"), await addressOf(two, "b")];
    await one.crash();
    await one.exec("a", ["ping", "-c", "1", "-W", "2", addressB]);
    await two.exec("b", ["ping", "-c", "1", "-W", "2", addressA]);
    await stop(two, "b", b);
    // The ctr that waited for its container has lost containerd and ends; it gives the address back.
    await a.ended;
    await one.remove("a");
  });

  test("GC frees what a killed ctr has left, and nothing else", async () => {
    const peer = await two.run("peer");
    const to = await addressOf(two, "peer");
    const kept = await one.run("kept");
    const killed = await one.run("killed");
    await killed.kill();
    await one.remove("killed");
    const before = machines.one.files("/var/lib/cni/twill");
    expect(before).toHaveLength(2);
    const valid = before.filter((file) => file.includes("kept"));
    await gc(valid.map((file) => file.split(":")[0] ?? ""));
    expect(machines.one.files("/var/lib/cni/twill")).toEqual(valid);
    await one.exec("kept", ["ping", "-c", "1", "-W", "2", to]);
    await Promise.all([stop(one, "kept", kept), stop(two, "peer", peer)]);
    await forgetResults();
  });

  /** What a runtime of CNI 1.1 calls from time to time; containerd 1.6 is none. */
  async function gc(containers: readonly string[]): Promise<void> {
    const conf = {
      ...CONFLIST.plugins[0],
      name: CONFLIST.name,
      cniVersion: "1.1.0",
      "cni.dev/valid-attachments": containers.map((containerID) => ({ containerID, ifname: "eth0" })),
    };
    const env = { CNI_COMMAND: "GC", CNI_PATH: "/opt/cni/bin" };
    await one.machine.run(["/opt/cni/bin/twill"], { input: JSON.stringify(conf), env });
  }

  /** containerd's own copies of results, which it would remove with the container's network. */
  async function forgetResults(): Promise<void> {
    await one.machine.run(["rm", "-rf", "/var/lib/cni/results"]);
  }
});
