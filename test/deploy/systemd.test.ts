// The package under a real systemd on two machines: started at boot, ready when pods may start, and started again when it
// crashes or hangs, while connections between pods live on.

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { capture, requireSuccess } from "../../pkg/lab/command.ts";
import type { Daemon } from "../../pkg/lab/daemon.ts";
import { Lab } from "../../pkg/lab/lab.ts";
import { TOP } from "../../pkg/lab/programs.ts";
import { until } from "../until.ts";
import { whyNot } from "./runtimes.ts";
import { APT_ENV, copyTree, enterTree, machineTree, packages } from "./shared.ts";
import { SystemdMachine } from "./systemd-machine.ts";

const MINUTES = 60_000;
const { version } = JSON.parse(readFileSync(join(TOP, "package.json"), "utf8")) as { version: string };
const NODE = "/usr/lib/twill/bin/node";
// docs/systemd.md promises as much; 100 is a service without any sandbox.
const EXPOSURE = "25";

const JOURNAL = ["journalctl", "--quiet", "--unit=twilld", "--output=cat"];

const NETCONF = { cniVersion: "1.0.0", name: "twill", type: "twill", delegate: { isDefaultGateway: true } };

// One connection, over which a line goes to and fro ten times a second. It ends with the first error.
const SERVER = `require("node:net").createServer((c) => c.pipe(c)).listen(7000, () => console.log("listening"))`;
const CLIENT = `
const c = require("node:net").connect(7000, process.argv[1]);
let n = 0;
c.on("connect", () => setInterval(() => c.write("."), 100));
c.on("data", (echo) => console.log(n += echo.length));
c.on("end", () => process.exit(1));
`;

// Stops one thread of a process for good, ptrace(2), and buries it when the process is killed: PTRACE_SEIZE, PTRACE_INTERRUPT.
const FREEZE = `
const koffi = require("/usr/lib/twill/node_modules/koffi");
const libc = koffi.load("libc.so.6");
const ptrace = libc.func("long ptrace(long request, int pid, uintptr_t addr, uintptr_t data)");
const wait = libc.func("int waitpid(int pid, uintptr_t status, int options)");
const tid = Number(process.argv[1]);
if (ptrace(0x4206, tid, 0, 0) !== 0 || ptrace(0x4207, tid, 0, 0) !== 0) throw new Error("ptrace: errno " + koffi.errno());
console.log("frozen");
while (wait(tid, 0, 0x40000000) > 0);
`;

const reason = whyNot("/usr/bin/systemd-nspawn", "/usr/bin/mmdebstrap");

describe.skipIf(reason)(`systemd${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let directory: string;
  let lab: Lab;
  const machines: SystemdMachine[] = [];
  const addresses: string[] = [];
  const machine = (i: number): SystemdMachine => {
    const found = machines[i - 1];
    if (!found) throw new RangeError(`there is no machine ${i}`);
    return found;
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "twill-systemd-"));
    const tree = join(directory, "tree");
    const [debian, built] = [await machineTree(), await packages()];
    await copyTree(debian, tree);
    copyFileSync(join(built, `twill_${version}_amd64.deb`), join(tree, "root/twill.deb"));
    const install = enterTree(tree, ["dpkg", "--install", "/root/twill.deb"]);
    requireSuccess(install, await capture(install, { env: APT_ENV }));
    rmSync(join(tree, "etc/hostname"), { force: true });
    lab = await Lab.create();
    const environment = `FLANNELD_ETCD_ENDPOINTS=${lab.etcd.endpoint}\nFLANNELD_IFACE=eth0\nFLANNELD_IP_MASQ=true\n`;
    for (const name of ["sd1", "sd2"]) {
      const host = await lab.addPlainNode(name);
      mkdirSync(join(directory, name));
      machines.push(new SystemdMachine(host, { directory: join(directory, name), tree, environment }));
    }
    await Promise.all(machines.map((each) => each.boot()));
  }, 20 * MINUTES);
  afterAll(async () => {
    await Promise.all(machines.map((each) => each.close()));
    await lab?.close();
    rmSync(directory, { recursive: true, force: true });
  }, MINUTES);

  const active = (each: SystemdMachine): Promise<void> =>
    until(async () => (await each.property("ActiveState")) === "active");
  const subnet = async (each: SystemdMachine): Promise<string> =>
    /^FLANNEL_SUBNET=(.*)$/m.exec(await each.run(["cat", "/run/flannel/subnet.env"]))?.[1] ?? "";

  async function attach(each: SystemdMachine): Promise<string> {
    await each.run(["ip", "netns", "add", "pod"]);
    const env = {
      CNI_COMMAND: "ADD",
      CNI_CONTAINERID: "pod",
      CNI_NETNS: "/run/netns/pod",
      CNI_IFNAME: "eth0",
      CNI_PATH: "/opt/cni/bin:/usr/lib/cni",
    };
    const result = await each.run(["/opt/cni/bin/twill"], { env, input: JSON.stringify(NETCONF) });
    return (JSON.parse(result) as { ips: { address: string }[] }).ips[0]?.address.split("/")[0] ?? "";
  }
  const pings = (from: SystemdMachine, to: string): Promise<string> =>
    from.run(["ip", "netns", "exec", "pod", "ping", "-c", "3", "-i", "0.2", "-W", "2", to]);

  test("it is enabled, started at boot, and ready once subnet.env is written", async () => {
    for (const each of machines) {
      await active(each);
      expect(await subnet(each)).toMatch(/^10\.\d+\.\d+\.1\/24$/);
      expect(await each.run(["systemctl", "is-enabled", "twilld"])).toBe("enabled");
      expect(await each.property("StatusText")).toBe("ready");
      expect(await each.property("NRestarts")).toBe("0");
      // What the sandbox forbids would be told as a warning.
      expect(await each.run([...JOURNAL, "--priority=warning"])).toBe("");
      expect(await each.run(JOURNAL)).toMatch(/^ready subnet=\S+ dataplane=tun mtu=\d+$/m);
    }
  });

  test("the unit has no mistake, and as little reach as docs/systemd.md says", async () => {
    const each = machine(1);
    const verify = await each.capture(["systemd-analyze", "verify", "--man=no", "twilld.service"]);
    expect(verify).toMatchObject({ status: 0, stderr: "" });
    const security = await each.run(["systemd-analyze", "security", `--threshold=${EXPOSURE}`, "twilld.service"]);
    console.log(security.split("\n").at(-1));
    const pid = await each.property("MainPID");
    // CAP_NET_ADMIN and CAP_NET_RAW, capabilities(7).
    expect(await each.run(["grep", "CapEff", `/proc/${pid}/status`])).toBe("CapEff:\t0000000000003000");
  });

  test("pods on both machines reach each other", async () => {
    for (const each of machines) addresses.push(await attach(each));
    await pings(machine(1), addresses[1] ?? "");
    await pings(machine(2), addresses[0] ?? "");
  });

  describe("a connection between pods lives on", () => {
    let server: Daemon;
    let client: Daemon;
    const inPod = (...argv: readonly string[]): string[] => ["ip", "netns", "exec", "pod", NODE, "-e", ...argv];
    const echoed = (): number => Number(readFileSync(client.log, "utf8").trim().split("\n").at(-1));

    beforeAll(async () => {
      server = await machine(2).start(inPod(SERVER), "server");
      await until(() => readFileSync(server.log, "utf8") !== "");
      client = await machine(1).start(inPod(CLIENT, addresses[1] ?? ""), "client");
      await until(() => echoed() > 0);
    });
    afterAll(async () => {
      // Not by those that led them in: who is left to nobody there stays a zombie, for which a shutdown waits ten seconds.
      for (const each of machines) await each.run(["sh", "-c", "ip netns pids pod | xargs -r kill"]);
      await Promise.all([client?.ended, server?.ended]);
    });

    /** Waits for the restart that this brings about, and for the connection to go on. Returns how long it took. */
    async function restarted(each: SystemdMachine, trouble: () => Promise<unknown>): Promise<number> {
      const before = Number(await each.property("NRestarts"));
      const start = performance.now();
      await trouble();
      await until(async () => Number(await each.property("NRestarts")) === before + 1);
      await active(each);
      const took = performance.now() - start;
      const now = echoed();
      await until(() => {
        if (!client.running) throw new Error(`the connection broke: ${client.tail().join("; ")}`);
        return echoed() > now + 2;
      });
      return Math.round(took);
    }

    test("when twilld is killed", async () => {
      const each = machine(1);
      const took = await restarted(each, async () => each.run(["kill", "-9", await each.property("MainPID")]));
      console.log(`killed: active again after ${took} ms`);
    });

    test.each([
      ["the packet loop", "packet-loop"],
      ["the control loop", "MainThread"],
    ])("when %s hangs", async (which, thread) => {
      const each = machine(1);
      const pid = await each.property("MainPID");
      const threads = await each.run(["sh", "-c", `grep -lx ${thread} /proc/${pid}/task/*/comm`]);
      const tid = /task\/(\d+)\//.exec(threads)?.[1] ?? "";
      let freezer: Daemon | undefined;
      const took = await restarted(each, async () => {
        freezer = await each.start([NODE, "-e", FREEZE, tid], `freezer-${tid}`);
      });
      await freezer?.ended;
      console.log(`${which} hung: active again after ${took} ms`);
      expect(await each.run(JOURNAL)).toContain("Watchdog timeout (limit 10s)!");
    });
  });

  test("a machine that is rebooted has its subnet again", async () => {
    const each = machine(2);
    const before = await subnet(each);
    await each.reboot();
    await active(each);
    expect(await subnet(each)).toBe(before);
    expect(await each.property("NRestarts")).toBe("0");
    await pings(machine(1), await attach(each));
  });
});
