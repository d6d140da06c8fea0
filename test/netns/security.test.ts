// etcd with TLS and users, as docs/security.md says to set it up, and an agent with nothing but its two capabilities.

import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab } from "../../pkg/lab/lab.ts";
import type { Node } from "../../pkg/lab/node.ts";
import { TOP, TWILLD } from "../../pkg/lab/programs.ts";
import { UNDERLAY_ADDRESS } from "../../pkg/lab/underlay.ts";
import { until } from "../until.ts";
import { notRoot, rootTitle } from "./netns.ts";

const PORT = 2390;
const PASSWORD = "correct-horse-battery-staple";
const NOBODY = 65_534;
const CAPS = "-all,+net_admin,+net_raw";
const SETPRIV = [
  "setpriv",
  `--reuid=${NOBODY}`,
  `--regid=${NOBODY}`,
  "--clear-groups",
  "--no-new-privs",
  `--inh-caps=${CAPS}`,
  `--ambient-caps=${CAPS}`,
  `--bounding-set=${CAPS}`,
];
const DOCUMENT = readFileSync(join(TOP, "docs/security.md"), "utf8");
const PREFIX = "/coreos.com/network";

/** The commands of the document under this name. */
function commands(name: string): string {
  return new RegExp("```sh " + name + "\\n(.*?)```", "s").exec(DOCUMENT)?.[1] ?? expect.fail(`no commands for ${name}`);
}

describe.skipIf(notRoot)(rootTitle("etcd with TLS and users"), () => {
  let lab: Lab;
  const endpoint = `https://${UNDERLAY_ADDRESS}:${PORT}`;
  const file = (name: string): string => join(lab.directory, name);
  const tls = (user: string): string[] => [
    `--etcd-endpoints=${endpoint}`,
    `--etcd-cafile=${file("ca.crt")}`,
    `--etcd-certfile=${file(`${user}.crt`)}`,
    `--etcd-keyfile=${file(`${user}.key`)}`,
  ];
  const as = (user: string): Record<string, string> => ({
    ETCDCTL_API: "3",
    ETCDCTL_ENDPOINTS: endpoint,
    ETCDCTL_CACERT: file("ca.crt"),
    ETCDCTL_CERT: file(`${user}.crt`),
    ETCDCTL_KEY: file(`${user}.key`),
  });
  const sh = (user: string, script: string) => lab.underlay.run(["sh", "-ec", script], { env: as(user) });
  const refused = async (user: string, ...args: string[]): Promise<void> => {
    const { status, stderr } = await lab.underlay.capture(["etcdctl", ...args], { env: as(user) });
    expect(stderr).toContain("permission denied");
    expect(status).not.toBe(0);
  };

  beforeAll(async () => {
    lab = await Lab.create({ config: "none" });
    makeCertificates(lab.directory, ["etcd", "root", "web1", "web2", "web3"]);
    const daemon = await lab.underlay.start(
      [
        "etcd",
        `--data-dir=${file("tls-data")}`,
        `--listen-client-urls=${endpoint}`,
        `--advertise-client-urls=${endpoint}`,
        `--listen-peer-urls=http://${UNDERLAY_ADDRESS}:${PORT + 1}`,
        "--client-cert-auth",
        `--trusted-ca-file=${file("ca.crt")}`,
        `--cert-file=${file("etcd.crt")}`,
        `--key-file=${file("etcd.key")}`,
        "--heartbeat-interval=10",
        "--election-timeout=100",
      ],
      { name: "etcd with TLS", log: file("etcd-tls.log") },
    );
    await until(async () => {
      if (!daemon.running) throw new Error(daemon.tail().join("\n"));
      return (await lab.underlay.capture(["etcdctl", "endpoint", "health"], { env: as("root") })).status === 0;
    });
    await sh("root", `etcdctl put ${PREFIX}/config '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}'`);
    await sh("root", commands("cluster") + commands("node") + commands("pinned"));
    // web3 has a password; its certificate names nobody.
    await sh("root", `etcdctl user add web3user:${PASSWORD} && etcdctl user grant-role web3user twill-node`);
    await sh("root", `etcdctl role add alive3 && etcdctl user grant-role web3user alive3`);
    await sh("root", `etcdctl role grant-permission alive3 readwrite ${PREFIX}/twill/nodes/172.31.1.3`);
    await sh("root", "etcdctl user add root --no-password && etcdctl user grant-role root root && etcdctl auth enable");
  });
  afterAll(() => lab?.close());

  const addNode = async (user: string, options: Parameters<Lab["addNode"]>[0] = {}): Promise<Node> => {
    const node = await lab.addNode({ ...options, args: [...tls(user), ...(options.args ?? [])] });
    await node.start();
    return node;
  };

  test("the documented roles are enough for a node, and for one that is pinned to its subnet; the pods reach each other", async () => {
    const web1 = await addNode("web1");
    const web2 = await addNode("web2");
    expect([web1.address, web2.address]).toEqual(["172.31.1.1", "172.31.1.2"]);
    await Promise.all([web1.ready(), web2.ready()]);
    expect(web2.subnetEnv()["FLANNEL_SUBNET"]).toBe("10.244.52.1/24");
    const [from, to] = [await web1.addPod(), await web2.addPod()];
    await from.netns.run(["ping", "-c", "3", "-i", "0.2", "-W", "2", to.address]);
    for (const node of [web1, web2]) expect(node.logText()).not.toMatch(/"level":"(warn|error)"/);
  });

  test("and no more than enough", async () => {
    await refused("web1", "put", `${PREFIX}/config`, "{}");
    await refused("web1", "put", `${PREFIX}/twill/nodes/172.31.1.2`, "{}");
    await refused("web1", "get", "/elsewhere");
    await refused("web2", "put", `${PREFIX}/subnets/10.244.53.0-24`, "{}");
    await refused("web2", "del", "--prefix", `${PREFIX}/subnets/`);
    await refused("web3", "get", `${PREFIX}/config`);
  });

  test("two capabilities and no root are enough, with a user and a password that nobody gets to see", async () => {
    const secret = { TWILLD_ETCD_USERNAME: "web3user", TWILLD_ETCD_PASSWORD: PASSWORD };
    // The lab's directories are root's alone, so this node gets its own at another path of the lab's own file system.
    const home = "/run/web3";
    const node = await lab.addNode({
      program: [...SETPRIV, TWILLD],
      env: secret,
      args: [
        `--etcd-endpoints=${endpoint}`,
        `--etcd-cafile=${home}/ca.crt`,
        `--etcd-certfile=${home}/web3.crt`,
        `--etcd-keyfile=${home}/web3.key`,
        `--subnet-file=${home}/subnet.env`,
        `--state-dir=${home}/state`,
        `--run-dir=${home}/run`,
        "--log-level=debug",
      ],
    });
    // The device as udev has it on a usual host.
    await node.run([
      "sh",
      "-ec",
      `cp ${lab.directory}/ca.crt ${lab.directory}/web3.* ${node.directory}
       chown -R ${NOBODY}:${NOBODY} ${node.directory}
       mkdir ${home}; mount --bind ${node.directory} ${home}
       mknod ${home}/tun c 10 200; chmod 666 ${home}/tun; mount --bind ${home}/tun /dev/net/tun`,
    ]);
    const { pid } = await node.start();
    await node.ready();
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    expect(/Uid:\s+(\d+)/.exec(status)?.[1]).toBe(String(NOBODY));
    for (const set of ["CapPrm", "CapEff", "CapBnd", "CapAmb"])
      expect(status).toMatch(new RegExp(`${set}:\\s+0+3000\\n`));
    const [pod, other] = [await node.addPod(), lab.node(1).pods[0]];
    await pod.netns.run(["ping", "-c", "3", "-i", "0.2", "-W", "2", other?.address ?? expect.fail()]);

    // The kernel plane, the same.
    await node.restart(["--dataplane=kernel"]);
    await pod.netns.run(["ping", "-c", "3", "-i", "0.2", "-W", "2", other?.address ?? expect.fail()]);

    expect(node.logText()).not.toContain(PASSWORD);
    for (const command of commandLines()) expect(command).not.toContain(PASSWORD);
    for (const path of filesIn(node.directory)) expect(readFileSync(path, "utf8"), path).not.toContain(PASSWORD);
    expect((await node.ctl(["status", "--json"])).stdout).not.toContain(PASSWORD);
    expect(statSync(node.socket).mode & 0o777).toBe(0o600);
    expect(statSync(join(node.stateDir, "state.json")).mode & 0o777).toBe(0o600);
    for (const child of childrenOf(node.twilld?.pid ?? 0)) {
      expect(readFileSync(`/proc/${child}/environ`, "utf8")).not.toContain(PASSWORD);
    }
    await node.stop();
  });

  test("a password on the command line is warned of, and a wrong one is told without being shown", async () => {
    const node = await addNode("web3", { args: ["--etcd-username=web3user", "--etcd-password=wrong-secret"] });
    await until(() => node.logText().includes("wrong user name or password"));
    expect(node.logText()).toContain("every user of this host sees it in ps");
    expect(node.logText()).not.toContain("wrong-secret");
    await node.stop();
  });
});

function makeCertificates(dir: string, users: readonly string[]): void {
  const openssl = (...args: readonly string[]): void =>
    void execFileSync("openssl", args, { cwd: dir, stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=authority");
  for (const user of users) {
    openssl("req", ...key, "-keyout", `${user}.key`, "-out", `${user}.csr`, "-subj", `/CN=${user}`);
    writeFileSync(
      join(dir, `${user}.ext`),
      `subjectAltName=IP:${UNDERLAY_ADDRESS}\nextendedKeyUsage=serverAuth,clientAuth\n`,
    );
    const sign = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", `${user}.ext`];
    openssl("x509", "-req", "-in", `${user}.csr`, ...sign, "-out", `${user}.crt`);
    chmodSync(join(dir, `${user}.key`), 0o600);
  }
}

function commandLines(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, "utf8")];
      } catch {
        return []; // ended meanwhile
      }
    });
}

function childrenOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    .split(" ")
    .filter((child) => child !== "");
}

function filesIn(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
