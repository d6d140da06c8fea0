// docker-compose.yml as it stands, on a real Docker engine: built, brought up, shown by its demo, and disturbed.

import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Output } from "../../pkg/lab/command.ts";
import { TOP } from "../../pkg/lab/programs.ts";
import { notRoot, rootTitle } from "../netns/netns.ts";
import { until } from "../until.ts";
import { DockerEngine, ETCD_IMAGE, NODE_IMAGE } from "./docker-engine.ts";

const MINUTES = 60_000;
const MOST_OWN_MB = 150;

describe.skipIf(notRoot)(rootTitle("the compose lab"), { timeout: 3 * MINUTES }, () => {
  let engine: DockerEngine;
  const project = `twill${randomBytes(3).toString("hex")}`;
  const env = {
    NODE_IMAGE,
    ETCD_IMAGE,
    TWILL_IMAGE: `${project}:test`,
    BUILD_NETWORK: "host",
    COMPOSE_PROJECT_NAME: project,
    COMPOSE_FILE: `${TOP}/docker-compose.yml`,
  };
  beforeAll(async () => {
    engine = await DockerEngine.start();
    await engine.makeBaseImages();
    await compose("build", "-q", "node1");
    await compose("up", "-d");
  }, 20 * MINUTES);
  afterAll(async () => {
    await engine?.capture(["docker-compose", "down", "-v", "-t", "1"], { env });
    await engine?.close();
  }, MINUTES);

  const compose = (...args: string[]): Promise<string> => engine.run(["docker-compose", ...args], { env });
  const demo = (): Promise<Output> =>
    engine.capture(["docker-compose", "--profile", "demo", "run", "--rm", "demo"], { env });
  const id = async (service: string): Promise<string> => (await compose("ps", "-q", service)).trim();
  const exec = (service: string, ...argv: string[]): Promise<Output> =>
    engine.capture(["docker-compose", "exec", "-T", service, ...argv], { env });
  const isReady = async (node: string): Promise<boolean> => {
    const { status, stdout } = await exec(`${node}-agent`, "twillctl", "--json", "status");
    return status === 0 && (JSON.parse(stdout) as { ready: boolean }).ready;
  };
  const subnetOf = async (node: string): Promise<string> => {
    const { stdout } = await exec(`${node}-agent`, "cat", "/run/flannel/subnet.env");
    return /^FLANNEL_SUBNET=(.*)$/m.exec(stdout)?.[1] ?? "";
  };
  async function complete(): Promise<void> {
    const { status, stdout, stderr } = await demo();
    expect(stdout, stderr).toContain("Everybody reaches everybody.");
    expect(status).toBe(0);
  }

  test("the image is small beside its base", async () => {
    const size = async (image: string): Promise<number> =>
      Number(await engine.docker(["image", "inspect", "-f", "{{.Size}}", image])) / 1e6;
    const [whole, base] = [await size(env.TWILL_IMAGE), await size(NODE_IMAGE)];
    console.log(await engine.docker(["images"]));
    console.log(`the image: ${Math.round(whole)} MB, of which its base ${Math.round(base)} MB`);
    expect(whole - base).toBeLessThan(MOST_OWN_MB);
  });

  test("every node and every pod reaches every pod", async () => {
    const { status, stdout, stderr } = await demo();
    console.log(stdout);
    expect(stdout, stderr).toContain("Everybody reaches everybody.");
    expect(status).toBe(0);
  });

  test("an agent tells of its peers, and etcd of the leases", async () => {
    const peers = await exec("node1-agent", "twillctl", "peers");
    expect(peers.stderr).toBe("");
    expect(peers.stdout).toContain("node2");
    const leases = await exec("etcd", "etcdctl", "get", "--prefix", "/coreos.com/network/subnets");
    expect(leases.stdout.match(/"BackendType":"vxlan"/g)).toHaveLength(3);
  });

  test("an agent has no more rights than it needs, and its file system is read-only", async () => {
    const container = await id("node1-agent");
    const [host] = JSON.parse(await engine.docker(["inspect", container])) as {
      HostConfig: { Privileged: boolean; ReadonlyRootfs: boolean; CapAdd: string[]; CapDrop: string[] };
    }[];
    const { Privileged, ReadonlyRootfs, CapAdd, CapDrop } = host?.HostConfig ?? {};
    expect({ Privileged, ReadonlyRootfs, CapDrop }).toEqual({
      Privileged: false,
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
    });
    expect(CapAdd?.toSorted()).toEqual(["NET_ADMIN", "NET_RAW"]);
  });

  test("an agent that is killed comes back by itself, with its subnet and its pods", async () => {
    const before = await subnetOf("node1");
    const pid = await engine.docker(["inspect", "-f", "{{.State.Pid}}", await id("node1-agent")]);
    // Not by docker kill, which the engine takes for a wish that it be stopped.
    process.kill(Number(pid), "SIGKILL");
    await until(async () => {
      const now = await engine.docker(["inspect", "-f", "{{.State.Pid}}", await id("node1-agent")]);
      return now !== pid && now !== "0" && (await isReady("node1"));
    });
    expect(await subnetOf("node1")).toBe(before);
    await complete();
  });

  test("a node that is killed comes back by itself, its agent and its pods too", async () => {
    const pid = await engine.docker(["inspect", "-f", "{{.State.Pid}}", await id("node2")]);
    process.kill(Number(pid), "SIGKILL");
    await until(async () => {
      const now = await engine.docker(["inspect", "-f", "{{.State.Pid}}", await id("node2")]);
      return now !== pid && now !== "0" && (await isReady("node2"));
    });
    await complete();
  });

  test("a node that is paused, its agent with it, goes on by itself when it may", async () => {
    const node = [await id("node3"), await id("node3-agent")];
    const before = await subnetOf("node3");
    const gateway = before.split("/")[0] ?? "";
    const reaches = async (): Promise<boolean> =>
      (await exec("node1", "ping", "-c", "1", "-W", "1", gateway)).status === 0;
    await until(reaches);
    await engine.docker(["pause", ...node]);
    expect(await reaches()).toBe(false);
    await engine.docker(["unpause", ...node]);
    await until(reaches);
    await until(() => isReady("node3"));
    expect(await subnetOf("node3")).toBe(before);
    await until(async () => (await demo()).status === 0);
  });

  test("a node that was taken off the network comes back when it is connected again", async () => {
    const node = await id("node1");
    const network = `${project}_default`;
    await engine.docker(["network", "disconnect", network, node]);
    await until(async () => !(await exec("node1", "ip", "-o", "route", "show", "default")).stdout.includes("eth"));
    await engine.docker(["network", "connect", network, node]);
    await until(() => isReady("node1"));
    await until(async () => (await demo()).status === 0);
  });

  test("it comes down without leaving a container", async () => {
    await compose("down", "-v", "-t", "1");
    expect(await engine.docker(["ps", "-aq"])).toBe("");
  });
});
