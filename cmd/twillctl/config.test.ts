import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../pkg/base/clock.ts";
import { EtcdRegistry } from "../../pkg/subnet/etcd-registry.ts";
import { EtcdServer } from "../../test/etcd-server.ts";
import { EXIT } from "./command.ts";
import { run } from "./run.ts";

let dir = "";
let etcd: EtcdServer;
let registry: EtcdRegistry;
let out = "";
let err = "";
const prefix = "/twillctl-test";

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "twillctl-config-"));
  etcd = await EtcdServer.started();
  registry = await EtcdRegistry.open(
    { endpoints: [etcd.endpoint], prefix },
    { clock: systemClock, random: Math.random },
  );
});
afterAll(async () => {
  registry?.close();
  await etcd?.[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => (out = err = ""));

async function ctl(args: readonly string[], stdin = ""): Promise<number> {
  const lines = async function* (): AsyncGenerator<string> {
    yield stdin;
  };
  return run(
    args,
    { TWILLD_ETCD_ENDPOINTS: etcd.endpoint, TWILLD_ETCD_PREFIX: prefix },
    {
      stdout: { write: (text) => void (out += text) },
      stderr: { write: (text) => void (err += text) },
      stdin: lines(),
    },
  );
}

test("where etcd holds no lease, leases --etcd says where it has looked", async () => {
  expect(await ctl(["leases", "--etcd", "--etcd-prefix=/nothing"])).toBe(EXIT.ok);
  expect(out).toBe("No lease stands below /nothing in etcd.\n");
});

test("config check fills in every default", async () => {
  const file = join(dir, "net.json");
  writeFileSync(file, '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}}');
  expect(await ctl(["config", "check", file])).toBe(EXIT.ok);
  expect(err).toBe("");
  expect(out.split("\n").slice(0, 2)).toEqual([
    "network   10.5.0.0/16: 255 subnets of /24, 10.5.1.0 to 10.5.255.0",
    "backend   vxlan, VNI 1, UDP port 8472, MTU of the underlay less the headers, plain routes to nodes on the same link",
  ]);
  out = "";
  expect(await ctl(["config", "check", file, "--json"])).toBe(EXIT.ok);
  expect(JSON.parse(out)).toEqual({
    config: {
      EnableIPv4: true,
      EnableIPv6: false,
      EnableNFTables: false,
      Network: "10.5.0.0/16",
      SubnetLen: 24,
      SubnetMin: "10.5.1.0",
      SubnetMax: "10.5.255.0",
      Backend: { Type: "vxlan", VNI: 1, Port: 8472, GBP: false, Learning: false, DirectRouting: true },
    },
    warnings: [],
  });
});

test("config check tells every problem, and a field that nobody knows", async () => {
  expect(await ctl(["config", "check", "-"], '{"Network":"10.5.0.0/99","SubnetLen":"24"}')).toBe(EXIT.refused);
  expect(out).toBe("");
  expect(err).toMatch(/^twillctl: Network "10\.5\.0\.0\/99" is no IPv4 network/);
  expect(err).toMatch(/^twillctl: SubnetLen is the text "24"/m);
  err = "";
  const typo = '{"Netwrok":"10.6.0.0/16","Network":"10.5.0.0/16","Backend":{"Type":"vxlan","Prot":7}}';
  expect(await ctl(["config", "check", "-"], typo)).toBe(EXIT.ok);
  expect(err).toBe(
    "twillctl: Netwrok is no field of a network config and is ignored: did you mean Network?\n" +
      "twillctl: Backend.Prot is no field of a network config and is ignored: did you mean Backend.Port?\n",
  );
  expect(await ctl(["config", "check", join(dir, "none.json")])).toBe(EXIT.refused);
  expect(err).toContain("there is no such file");
});

test("config set writes what is right, and refuses what living leases do not fit", async () => {
  const config = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
  expect(await ctl(["config", "set", "-"], "{}")).toBe(EXIT.refused);
  expect(await registry.get("config")).toBeUndefined();
  expect(await ctl(["config", "set", "-"], config)).toBe(EXIT.ok);
  expect(out).toContain(`${prefix}/config at ${etcd.endpoint} is written. Agents that wait`);
  expect((await registry.get("config"))?.value).toBe(config);
  out = "";
  expect(await ctl(["config", "set", "-", "--json"], config)).toBe(EXIT.ok);
  expect(JSON.parse(out)).toMatchObject({ written: false, config: { SubnetLen: 24 } });

  const lease = await registry.grant(60);
  const value = '{"PublicIP":"192.0.2.7","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:07"}}';
  await registry.create("subnets/10.5.7.0-24", value, lease);
  const other = '{"Network":"10.9.0.0/16","Backend":{"Type":"vxlan"}}';
  err = "";
  expect(await ctl(["config", "set", "-"], other)).toBe(EXIT.refused);
  expect(err).toMatch(/^twillctl: 1 living lease does not fit: 10\.5\.7\.0\/24 of node 192\.0\.2\.7 is no subnet/);
  expect((await registry.get("config"))?.value).toBe(config);
  out = "";
  expect(await ctl(["config", "set", "-", "--force"], other)).toBe(EXIT.ok);
  expect(out).toContain("restart twilld node by node");
  expect((await registry.get("config"))?.value).toBe(other);
});

test("leases --etcd reads what stands there without an agent", async () => {
  expect(await ctl(["leases", "--etcd", "--socket", "/nowhere"])).toBe(EXIT.ok);
  expect(out).toMatch(/^10\.5\.7\.0\/24 +- +192\.0\.2\.7 +vxlan +- +in (59 s|1 min)$/m);
  expect(err).toBe("");
});

test("a wrong etcd flag is a wrong command line", async () => {
  const config = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
  expect(await ctl(["config", "set", "-", "--etcd-endpoints=nowhere"], config)).toBe(EXIT.usage);
  expect(err).toContain("--etcd-endpoints");
});
