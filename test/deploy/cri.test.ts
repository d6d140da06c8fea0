// Pods on two nodes as a kubelet starts them: containerd's Container Runtime Interface, with port mappings and bandwidth
// limits as Kubernetes asks for them.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CONFLIST, CONFLIST_NAME } from "../../pkg/cni/conflist.ts";
import { until } from "../until.ts";
import { Containerd, SOCKET } from "./containerd.ts";
import { Cri } from "./cri.ts";
import type { Machine } from "./machine.ts";
import { TwoMachines, whyNot } from "./runtimes.ts";
import { type Traces, traces } from "./traces.ts";

const PODS = 20;
const MEGABYTES = 3;
// bits per second
const SLOW = 8_000_000;

const reason = whyNot("/usr/bin/containerd", "/usr/bin/ctr", "/usr/sbin/runc");

describe.skipIf(reason)(`containerd's CRI${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let machines: TwoMachines;
  let one: Containerd;
  let two: Containerd;
  let criOne: Cri;
  let criTwo: Cri;
  let clean: Traces[];
  beforeAll(async () => {
    machines = await TwoMachines.boot();
    const bandwidth = { type: "bandwidth", capabilities: { bandwidth: true } };
    const network = { ...CONFLIST, plugins: [...CONFLIST.plugins, bandwidth] };
    for (const machine of machines.machines) {
      machine.write(`/etc/cni/net.d/${CONFLIST_NAME}`, JSON.stringify(network));
    }
    one = await Containerd.start(machines.one, machines.image);
    two = await Containerd.start(machines.two, machines.image);
    criOne = new Cri(machines.one.path(SOCKET));
    criTwo = new Cri(machines.two.path(SOCKET));
    // The first one makes what stays: the bridge, and the chains that all published ports share.
    for (const cri of [criOne, criTwo]) {
      expect(await cri.networkProblem()).toBeUndefined();
      await cri.remove(await cri.run("first", { ports: { 8000: 80 } }));
    }
    clean = await Promise.all(machines.machines.map(traces));
  });
  afterAll(async () => {
    criOne?.close();
    criTwo?.close();
    await machines?.close();
  });
  afterEach(async () => {
    await Promise.all([criOne.removeAll(), criTwo.removeAll()]);
    expect(await Promise.all(machines.machines.map(traces))).toEqual(clean);
  });

  /** Runs a command in a pod, in the process that keeps its namespaces. */
  function inside(containerd: Containerd, pod: string, ...command: readonly string[]): Promise<string> {
    return containerd.exec(pod, command, "k8s.io");
  }

  function ping(containerd: Containerd, pod: string, address: string): Promise<string> {
    return inside(containerd, pod, "ping", "-c", "1", "-W", "5", address);
  }

  /** Lets a pod serve a directory in the one file system that it may write to: httpd goes to the background once it listens. */
  async function serve(containerd: Containerd, pod: string, make: string): Promise<void> {
    await inside(containerd, pod, "sh", "-c", `set -e; mkdir /dev/www; cd /dev/www; ${make}; httpd -p 80 -h /dev/www`);
  }

  function get(machine: Machine, url: string): Promise<string> {
    return machine.run(["busybox", "wget", "-q", "-O", "-", url]);
  }

  test("pods of two nodes reach each other; a host port leads to its pod", async () => {
    const a = await criOne.run("a");
    const b = await criTwo.run("b", { ports: { 8081: 80 } });
    const [addressA, addressB] = [await criOne.addressOf(a), await criTwo.addressOf(b)];
    await ping(one, a, addressB);
    await ping(two, b, addressA);
    await serve(two, b, "echo hello >x");
    const published = `http://${machines.lab.node(2).address}:8081/x`;
    expect(await inside(one, a, "wget", "-q", "-O", "-", `http://${addressB}/x`)).toBe("hello\n");
    expect(await get(machines.one, published)).toBe("hello\n");
    expect(await inside(one, a, "wget", "-q", "-O", "-", published)).toBe("hello\n");
    await Promise.all([criOne.remove(a), criTwo.remove(b)]);
    expect((await machines.one.capture(["busybox", "wget", "-q", "-T", "2", "-O", "-", published])).status).not.toBe(0);
  });

  test("the annotations for bandwidth limit a pod in both directions", async () => {
    const server = await criOne.run("server");
    await serve(one, server, `dd if=/dev/zero of=x bs=1M count=${MEGABYTES} 2>/dev/null`);
    const url = `http://${await criOne.addressOf(server)}/x`;
    const rates = {
      "kubernetes.io/ingress-bandwidth": `${SLOW / 1_000_000}M`,
      "kubernetes.io/egress-bandwidth": `${SLOW / 1_000_000}M`,
    };
    const [fast, slow] = [await criTwo.run("fast"), await criTwo.run("slow", { annotations: rates })];
    // The rates themselves, since the plugin's bursts let a short transfer through.
    const queues = async (): Promise<string> => machines.two.run(["tc", "qdisc", "show"]);
    expect([...(await queues()).matchAll(/tbf .* rate 8Mbit/g)]).toHaveLength(2);
    await inside(two, fast, "wget", "-q", "-O", "/dev/null", url);
    await inside(two, slow, "wget", "-q", "-O", "/dev/null", url);
    await Promise.all([criOne.remove(server), criTwo.remove(fast), criTwo.remove(slow)]);
    expect(await queues()).not.toMatch(/tbf/);
  });

  test(`${PODS} pods at once get ${PODS} addresses, reach the other node, and go at once`, async () => {
    const peer = await criTwo.run("peer");
    const address = await criTwo.addressOf(peer);
    const begin = performance.now();
    const pods = await Promise.all(Array.from({ length: PODS }, (_, i) => criOne.run(`many-${i}`)));
    const took = performance.now() - begin;
    const addresses = await Promise.all(pods.map((pod) => criOne.addressOf(pod)));
    expect(new Set(addresses).size).toBe(PODS);
    await Promise.all(pods.map((pod) => ping(one, pod, address)));
    await Promise.all([criTwo.remove(peer), ...pods.map((pod) => criOne.remove(pod))]);
    console.log(`${PODS} pods at once: started in ${(took / 1000).toFixed(1)} s`);
  });

  test("pods go on while containerd crashes and comes back, and are removed by the new one", async () => {
    const [a, b] = [await criOne.run("a", { ports: { 8082: 80 } }), await criTwo.run("b")];
    const [addressA, addressB] = [await criOne.addressOf(a), await criTwo.addressOf(b)];
    await one.crash();
    await ping(one, a, addressB);
    await ping(two, b, addressA);
    await until(async () => (await criOne.networkProblem().catch(() => "not yet")) === undefined);
    expect(await criOne.addressOf(a)).toBe(addressA);
    await Promise.all([criOne.remove(a), criTwo.remove(b)]);
  });

  test("a pod whose process is killed gives everything back when it is removed", async () => {
    const pod = await criOne.run("victim", { ports: { 8083: 80 } });
    await one.ctr("-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", pod);
    await criOne.remove(pod);
  });
});
