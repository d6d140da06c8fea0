import { hostname } from "node:os";
import { expect, test } from "vitest";
import type { Setting } from "../api/setting.ts";
import { FLAGS } from "./flag-table.ts";
import { type Environment } from "./settings.ts";
import { parseArgs } from "./flags.ts";

function origins(argv: readonly string[], env: Environment = {}): Map<string, Setting> {
  const parsed = parseArgs(argv, env);
  if (parsed.kind !== "run") return expect.fail("not a run");
  return new Map(parsed.origins.map((setting) => [setting.name, setting]));
}

const cases = [
  { name: "dataplane", value: "tun", source: "default", from: "" },
  { name: "dataplane", argv: ["-dataplane=kernel"], value: "kernel", source: "flag", from: "--dataplane" },
  { name: "iface", argv: ["--iface=eth0", "--iface=eth1"], value: "eth0,eth1", source: "flag", from: "--iface" },
  { name: "resync", env: { TWILLD_RESYNC: "1m" }, value: "60s", source: "environment", from: "TWILLD_RESYNC" },
  {
    name: "ip-masq",
    env: { FLANNELD_IP_MASQ: "true" },
    value: "true",
    source: "environment",
    from: "FLANNELD_IP_MASQ",
  },
  {
    name: "ip-masq",
    argv: ["--ip-masq=0"],
    env: { TWILLD_IP_MASQ: "1" },
    value: "false",
    source: "flag",
    from: "--ip-masq",
  },
  { name: "log-level", argv: ["-v=4"], value: "debug", source: "flag", from: "-v" },
  { name: "resync", argv: ["--iptables-resync=5"], value: "5s", source: "flag", from: "--iptables-resync" },
  { name: "node-name", value: hostname(), source: "discovered", from: "the host's name" },
  { name: "healthz-port", value: "0", source: "default", from: "" },
  // A TTL of 60 s leaves a margin of 40 s at most.
  {
    name: "subnet-lease-renew-margin",
    argv: ["--subnet-lease-ttl=60s"],
    value: String(40 / 60),
    source: "default",
    from: "",
  },
] as const;

for (const { name, value, source, from, ...given } of cases) {
  const argv = "argv" in given ? given.argv : [];
  const env = "env" in given ? given.env : {};
  test(`${name} by ${[...argv, ...Object.keys(env)].join(" ") || "nobody"}`, () => {
    expect(origins(argv, env).get(name)).toEqual({ name, value, source, from });
  });
}

test("every flag that sets something is told", () => {
  const names = FLAGS.map(({ name }) => name).filter((name) => name !== "help" && name !== "version");
  expect([...origins([]).keys()]).toEqual(names);
});

test("a secret is told to be set, and nothing else of it", () => {
  const all = origins(["--etcd-username=root"], { TWILLD_ETCD_PASSWORD: "hunter2" });
  expect(all.get("etcd-password")).toEqual({
    name: "etcd-password",
    value: "set",
    source: "environment",
    from: "TWILLD_ETCD_PASSWORD",
  });
  expect(JSON.stringify([...all.values()])).not.toContain("hunter2");
  expect(origins([]).get("etcd-password")?.value).toBe("");
});
