// `npm run lab` as a person uses it: in the foreground and in the background, as root and as an ordinary user.
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeEach, describe, expect, test } from "vitest";
import { labsDirectory, readState } from "../../pkg/lab/directory.ts";
import { processesIn, signalProcess } from "../../pkg/lab/proc.ts";
import { machine, notRoot, rootTitle, TOP } from "./netns.ts";

const run = promisify(execFile);
const MAIN = join(TOP, "cmd/lab/main.ts");

const NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"];

interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function lab(...args: string[]): Promise<Result> {
  return command(process.execPath, [MAIN, ...args]);
}

async function command(program: string, args: readonly string[]): Promise<Result> {
  try {
    return { status: 0, ...(await run(program, args, { cwd: TOP })) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, stdout, stderr };
  }
}

let names = 0;
let name = "";
beforeEach(() => {
  name = `test-${process.pid}-${++names}`;
});

describe.skipIf(notRoot)(rootTitle("the lab command"), () => {
  test("a lab in the background is shown, entered, asked and taken down again", async () => {
    const before = await machine();
    const started = await lab("up", "--nodes", "2", "--pods", "1", "--detach", "--name", name);
    expect(started).toMatchObject({ status: 0, stderr: "" });
    expect(started.stdout).toContain("0 % lost (18 packets)");
    expect(started.stdout).toMatch(/TCP pod1\.1 -> pod2\.1: [\d.]+ [GM]bit\/s/);
    const mount = readState(name)?.mount ?? "";

    const status = await lab("status", "--name", name);
    expect(status.stdout).toContain("3 of 3 daemons running");
    expect((await lab("exec", "--name", name, "node2", "--", "hostname")).status).toBe(0);
    expect((await lab("exec", "--name", name, "pod1.1", "--", "sh", "-c", "exit 7")).status).toBe(7);
    expect((await lab("exec", "--name", name, "pod1.1", "--", "ping", "-c", "1", "pod2.1")).status).toBe(0);
    const ctl = await lab("exec", "--name", name, "node2", "--", "twillctl", "status");
    expect(ctl.stdout).toContain("node2 is ready");
    const keys = await lab("etcdctl", "--name", name, "get", "--prefix", "--keys-only", "/coreos.com/network/subnets");
    expect(keys.stdout.match(/^\/coreos\.com\/network\/subnets\/10\.244\.\d+\.0-24$/gm)).toHaveLength(2);
    expect((await lab("logs", "--name", name, "node1")).stdout).toContain("lease acquired");

    const down = await lab("down", "--name", name);
    expect(down).toMatchObject({ status: 0, stdout: `${name} is stopped and removed\n` });
    expect(await machine()).toEqual(before);
    expect(processesIn(mount)).toEqual([]);
    expect(existsSync(join(labsDirectory(), name))).toBe(false);
  });

  test("a lab whose processes were killed is taken down as well", async () => {
    await lab("up", "--nodes", "1", "--pods", "1", "--detach", "--name", name);
    const state = readState(name);
    if (!state) throw new Error("the lab has no state");
    signalProcess(state.owner, "SIGKILL");
    for (const id of processesIn(state.mount ?? "")) signalProcess(id, "SIGKILL");
    expect((await lab("status", "--name", name)).stdout).toContain("was not stopped properly");
    expect((await lab("exec", "--name", name, "node1", "--", "true")).stderr).toContain("is not running any more");
    expect((await lab("down", "--name", name)).status).toBe(0);
    expect(existsSync(join(labsDirectory(), name))).toBe(false);
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s stops a lab in the foreground", async (signal) => {
    const child = spawn(process.execPath, [MAIN, "up", "--nodes", "2", "--pods", "1", "--name", name]);
    const closed = once(child, "close");
    let stdout = "";
    await new Promise<void>((resolve) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        stdout += text;
        if (stdout.includes("Ctrl-C stops the lab.")) resolve();
      });
      child.once("exit", () => resolve());
    });
    const mount = readState(name)?.mount ?? "";
    child.kill(signal);
    expect(await closed).toEqual([0, null]);
    expect(stdout).toMatch(/Everything works, [\d.]+ s after the start\./);
    expect(stdout).toContain("Stopped; nothing is left behind.");
    expect(processesIn(mount)).toEqual([]);
    expect(existsSync(join(labsDirectory(), name))).toBe(false);
  });

  test("a start that is interrupted leaves nothing behind", async () => {
    const child = spawn(process.execPath, [MAIN, "up", "--nodes", "2", "--name", name]);
    const closed = once(child, "close");
    await new Promise<void>((resolve) => {
      child.stdout.on("data", (text: Buffer) => String(text).includes("etcd") && resolve());
    });
    const mount = readState(name)?.mount ?? "";
    expect(processesIn(mount)).not.toEqual([]);
    child.kill("SIGINT");
    expect(await closed).toEqual([130, null]);
    expect(processesIn(mount)).toEqual([]);
    expect(existsSync(join(labsDirectory(), name))).toBe(false);
  });

  test("an argument that it does not know gets one sentence", async () => {
    expect(await lab("up", "--node", "3")).toEqual({
      status: 2,
      stdout: "",
      stderr: "lab: up has no option --node: it has --name, --nodes, --pods, --dataplane, --network, --mtu, --detach\n",
    });
  });

  test("lab.sh hands its arguments over", async () => {
    const result = await command("sh", ["cmd/lab/lab.sh", "exec", "--name", name, "node1", "--", "true"]);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(`lab: there is no lab named ${name}`);
    expect((await command("sh", ["cmd/lab/lab.sh", "--help"])).stdout).toContain("Usage: npm run lab");
  });
});

describe.skipIf(notRoot || !othersMayRead())(rootTitle("the lab of an ordinary user"), () => {
  // On most machines everybody may open /dev/net/tun. Where only root may, a node of its own stands in its place.
  async function asNobody(mode: number, ...args: string[]): Promise<Result> {
    const directory = mkdtempSync(join(tmpdir(), "twill-tun-"));
    const tun = join(directory, "tun");
    try {
      await run("mknod", [tun, "c", "10", "200"]);
      chmodSync(tun, mode);
      const script = 'mount --bind "$1" /dev/net/tun && shift && exec "$@"';
      const user = ["setpriv", ...NOBODY, "--", process.execPath, MAIN, ...args];
      return await command("unshare", ["--mount", "sh", "-c", script, "sh", tun, ...user]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  test("works in a user namespace", async () => {
    const started = await asNobody(0o666, "up", "--nodes", "2", "--pods", "1", "--detach", "--name", name);
    expect(started).toMatchObject({ status: 0, stderr: "" });
    expect(started.stdout).toContain("0 % lost (18 packets)");
    expect((await asNobody(0o666, "exec", "--name", name, "pod1.1", "--", "ping", "-c", "1", "pod2.1")).status).toBe(0);
    expect(await asNobody(0o666, "down", "--name", name)).toMatchObject({ status: 0, stderr: "" });
    expect(existsSync(join(tmpdir(), "twill-lab-65534", name))).toBe(false);
  });

  test("says what would make it possible where /dev/net/tun may not be opened", async () => {
    expect(await asNobody(0o600, "up", "--name", name)).toEqual({
      status: 1,
      stdout: "",
      stderr: "lab: /dev/net/tun may not be opened by this user: sudo chmod 666 /dev/net/tun, or sudo npm run lab\n",
    });
  });
});

// A checkout under /root is closed to everybody else.
function othersMayRead(): boolean {
  return !notRoot && spawnSync("setpriv", [...NOBODY, "--", "test", "-r", MAIN]).status === 0;
}
