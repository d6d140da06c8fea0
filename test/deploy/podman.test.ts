// podman with its CNI back end on two nodes, through the plugin and the network that install-cni puts there.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CONFLIST } from "../../pkg/cni/conflist.ts";
import { until } from "../until.ts";
import { IMAGE } from "./image.ts";
import type { Machine } from "./machine.ts";
import { TwoMachines, whyNot } from "./runtimes.ts";
import { type Traces, traces } from "./traces.ts";

// netavark, where it is installed, would be taken in place of CNI. The limits are below those that containers may have
// on a machine without CAP_SYS_RESOURCE.
const CONTAINERS_CONF = `
[network]
network_backend = "cni"
cni_plugin_dirs = ["/opt/cni/bin"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[containers]
default_ulimits = ["nofile=1024:20000", "nproc=1024:32768"]
pids_limit = 0
log_driver = "k8s-file"
`;
const NETWORK = CONFLIST.name;
// bits per second
const SLOW = 8_000_000;
const SLOW_DIR = "/etc/cni/slow.d";
const MEGABYTES = 3;

const reason = whyNot("/usr/bin/podman", "/usr/sbin/runc");

describe.skipIf(reason)(`podman${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let machines: TwoMachines;
  let clean: Traces[];
  beforeAll(async () => {
    machines = await TwoMachines.boot();
    for (const machine of machines.machines) {
      machine.write("/etc/containers/containers.conf", CONTAINERS_CONF);
      await podman(machine, "load", "-q", "-i", machines.image);
      // The first one makes what stays: the bridge, and the chains that all published ports share.
      await podman(machine, "run", "--rm", "--network", NETWORK, "-p", "8000:80", IMAGE, "true");
      await podman(machine, "run", "--rm", "--network", NETWORK, IMAGE, "true");
    }
    clean = await Promise.all(machines.machines.map(traces));
  });
  afterAll(() => machines?.close());
  afterEach(async () => {
    for (const machine of machines.machines) await podman(machine, "rm", "-f", "-a", "-t", "0");
    expect(await Promise.all(machines.machines.map(traces))).toEqual(clean);
  });

  function podman(machine: Machine, ...args: readonly string[]): Promise<string> {
    return machine.run(["podman", ...args]);
  }

  /** Starts a container that sleeps, or what it is told, and returns its address. */
  async function start(machine: Machine, name: string, more: readonly string[] = [], command: readonly string[] = []) {
    // Without NET_RAW busybox cannot ping.
    const network = ["--network", NETWORK, "--cap-add", "NET_RAW"];
    await podman(machine, "run", "-d", "--name", name, ...network, ...more, IMAGE, ...command);
    return addressOf(machine, name);
  }

  async function addressOf(machine: Machine, name: string): Promise<string> {
    const [line = ""] = (await podman(machine, "exec", name, "ip", "-4", "-o", "addr", "show", "eth0")).split("\n");
    return /inet ([\d.]+)\//.exec(line)?.[1] ?? expect.fail(`${name} has no address: ${line}`);
  }

  /** Waits until the container serves /x. */
  async function serving(machine: Machine, name: string): Promise<void> {
    const get = ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1/x"];
    await until(async () => (await machine.capture(["podman", "exec", name, ...get])).status === 0);
  }

  const serve = ["httpd", "-f", "-p", "80", "-h", "/www"];

  test("the network that install-cni puts there is podman's", async () => {
    const names = await podman(machines.one, "network", "ls", "--format", "{{.Name}} {{.Driver}}");
    expect(names.split("\n")).toContain(`${NETWORK} twill`);
  });

  test("containers of two nodes reach each other, a published port from outside too", async () => {
    const { one, two } = machines;
    const first = await start(one, "one");
    const second = await start(two, "two", ["-p", "8081:80"], ["sh", "-c", `echo hello >/www/x; ${serve.join(" ")}`]);
    await serving(two, "two");
    await podman(one, "exec", "one", "ping", "-c", "1", "-W", "2", second);
    await podman(two, "exec", "two", "ping", "-c", "1", "-W", "2", first);
    expect(await podman(one, "exec", "one", "wget", "-q", "-O", "-", `http://${second}/x`)).toBe("hello\n");
    const published = `http://${machines.lab.node(2).address}:8081/x`;
    expect(await podman(one, "exec", "one", "wget", "-q", "-O", "-", published)).toBe("hello\n");
    expect(await one.run(["busybox", "wget", "-q", "-O", "-", published])).toBe("hello\n");
  });

  test("the bandwidth plugin in the chain limits a container", async () => {
    const { one, two } = machines;
    const bandwidth = { type: "bandwidth", ingressRate: SLOW, ingressBurst: SLOW / 8 };
    const slow = { ...CONFLIST, plugins: [...CONFLIST.plugins, bandwidth] };
    two.write(`${SLOW_DIR}/10-slow.conflist`, JSON.stringify(slow));
    const make = `dd if=/dev/zero of=/www/x bs=1M count=${MEGABYTES} 2>/dev/null; ${serve.join(" ")}`;
    const server = await start(one, "server", [], ["sh", "-c", make]);
    await serving(one, "server");
    await start(two, "fast");
    await podman(two, "--network-config-dir", SLOW_DIR, "run", "-d", "--name", "slow", "--network", NETWORK, IMAGE);
    const seconds = async (name: string): Promise<number> => {
      const begin = performance.now();
      await podman(two, "exec", name, "wget", "-q", "-O", "/dev/null", `http://${server}/x`);
      return (performance.now() - begin) / 1000;
    };
    const [fast, limited] = [await seconds("fast"), await seconds("slow")];
    const bits = MEGABYTES * 2 ** 20 * 8;
    console.log(`${MEGABYTES} MiB: ${fast.toFixed(1)} s, with bandwidth at 8 Mbit/s ${limited.toFixed(1)} s`);
    // A burst of an eighth of a second is not held back.
    expect(limited).toBeGreaterThan(bits / SLOW - 0.25);
    expect(fast).toBeLessThan(bits / SLOW / 2);
    await podman(two, "--network-config-dir", SLOW_DIR, "rm", "-f", "-t", "0", "slow");
  });

  test("12 containers at once get 12 addresses and go at once", async () => {
    const { one, two } = machines;
    const peer = await start(two, "peer");
    const names = Array.from({ length: 12 }, (_, i) => `many-${i}`);
    const addresses = await Promise.all(names.map((name) => start(one, name)));
    expect(new Set(addresses).size).toBe(names.length);
    await Promise.all(names.map((name) => podman(one, "exec", name, "ping", "-c", "1", "-W", "5", peer)));
    await Promise.all(names.map((name) => podman(one, "rm", "-f", "-t", "0", name)));
  });

  test("a container that is killed gives its address back by itself", async () => {
    const { one } = machines;
    await start(one, "victim", ["-p", "8082:80"]);
    await one.run(["kill", "-KILL", await pidOf(one, "victim", "{{.State.Pid}}")]);
    await until(async () => (await traces(one)).files.length === clean[0]?.files.length);
    await until(async () => (await traces(one)).rules === clean[0]?.rules);
  });

  test("where its monitor is killed with it, removing it gives the address back", async () => {
    const { one } = machines;
    await start(one, "victim", ["-p", "8082:80"]);
    const monitor = await pidOf(one, "victim", "{{.State.ConmonPid}}");
    await one.run(["kill", "-KILL", monitor, await pidOf(one, "victim", "{{.State.Pid}}")]);
    expect((await traces(one)).files).not.toEqual(clean[0]?.files);
    await podman(one, "rm", "-f", "-t", "0", "victim");
  });

  async function pidOf(machine: Machine, name: string, field: string): Promise<string> {
    return (await podman(machine, "inspect", "-f", field, name)).trim();
  }
});
