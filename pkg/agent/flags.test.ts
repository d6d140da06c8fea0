import { hostname } from "node:os";
import { expect, test } from "vitest";
import { formatAddr } from "../addr/addr.ts";
import { ConfigError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import type { AgentConfig } from "./config.ts";
import { parseArgs } from "./flags.ts";
import type { Environment } from "./settings.ts";

function run(argv: readonly string[], env: Environment = {}): { config: AgentConfig; warnings: readonly string[] } {
  const parsed = parseArgs(argv, env);
  if (parsed.kind !== "run") throw new Error(`parsed as ${parsed.kind}`);
  return parsed;
}

function problems(argv: readonly string[], env: Environment = {}): readonly string[] {
  try {
    parseArgs(argv, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test("without flags and environment everything is flannel's default", () => {
  const { config, warnings } = run([]);
  expect(warnings).toEqual([]);
  expect(config).toEqual({
    etcd: {
      endpoints: ["http://127.0.0.1:4001", "http://127.0.0.1:2379"],
      prefix: "/coreos.com/network",
      keyFile: undefined,
      certFile: undefined,
      caFile: undefined,
      username: undefined,
      password: undefined,
    },
    underlay: { iface: [], ifaceRegex: [], ifaceCanReach: undefined, publicIp: {} },
    subnetFile: "/run/flannel/subnet.env",
    leaseTtl: 86_400,
    renewMargin: 3600,
    ipMasq: false,
    ipMasqRandomFully: true,
    forwardRules: true,
    resync: 60,
    healthz: undefined,
    stateDir: "/var/lib/twill",
    runDir: "/run/twill",
    nodeName: hostname(),
    dataplane: "tun",
    verifySender: "default",
    offload: "auto",
    packetThreads: 1,
    logLevel: "info",
    logFormat: "auto",
  } satisfies AgentConfig);
});

test("the command line of a flanneld unit is understood as it is", () => {
  const unit =
    "-etcd-endpoints=http://10.0.0.1:2379,http://10.0.0.2:2379 -iface=eth1 -iface 192.0.2.11 -ip-masq -v=2 " +
    "--etcd-prefix /coreos.com/network --public-ip=203.0.113.7 -subnet-file=/run/flannel/subnet.env " +
    "-subnet-lease-renew-margin 90 -healthz-ip=127.0.0.1 -healthz-port=8471 -iptables-forward-rules=false " +
    "-kube-subnet-mgr=false -ip-blackhole-route=false -iptables-resync=7";
  const { config, warnings } = run(unit.split(" "));
  expect(config.etcd.endpoints).toEqual(["http://10.0.0.1:2379", "http://10.0.0.2:2379"]);
  expect(config.etcd.prefix).toBe("/coreos.com/network");
  expect(config.underlay.iface).toEqual(["eth1", "192.0.2.11"]);
  expect(config.underlay.publicIp[4] && formatAddr(config.underlay.publicIp[4])).toBe("203.0.113.7");
  expect(config).toMatchObject({
    ipMasq: true,
    forwardRules: false,
    renewMargin: 5400,
    resync: 7,
    healthz: { ip: "127.0.0.1", port: 8471 },
    logLevel: "info",
  });
  expect(warnings).toEqual([
    "--kube-subnet-mgr=false is not needed: twill never does it",
    "--ip-blackhole-route=false is not needed: twill never does it",
    "--iptables-resync=7 is read as --resync=7s",
    "-v=2 is read as --log-level=info",
  ]);
});

test("a flag beats TWILLD_, which beats FLANNELD_", () => {
  const both = { TWILLD_ETCD_PREFIX: "/twill", FLANNELD_ETCD_PREFIX: "/flannel" };
  expect(run(["--etcd-prefix=/flag"], both).config.etcd.prefix).toBe("/flag");
  expect(run([], both).config.etcd.prefix).toBe("/twill");
  expect(run([], { FLANNELD_ETCD_PREFIX: "/flannel" }).config.etcd.prefix).toBe("/flannel");
});

test("an empty value is the same as none, on the command line and in the environment", () => {
  const env = { TWILLD_IFACE: "", FLANNELD_IFACE: "eth7" };
  expect(run([], env).config.underlay.iface).toEqual(["eth7"]);
  expect(run(["--iface=", "--etcd-prefix="], env).config).toMatchObject({
    underlay: { iface: [] },
    etcd: { prefix: "/coreos.com/network" },
  });
});

test("the environment is read as flags are", () => {
  const { config } = run([], {
    FLANNELD_IP_MASQ: "1",
    FLANNELD_IFACE_REGEX: "^eth[12]$",
    TWILLD_SUBNET_LEASE_TTL: "1h30m",
    TWILLD_PUBLIC_IPV6: "2001:DB8::1",
    TWILLD_NODE_NAME: "node-a",
    TWILLD_IP_MASQ_FULLY_RANDOM_DISABLE: "t",
    TWILLD_LOG_LEVEL: "warn",
  });
  expect(config).toMatchObject({
    ipMasq: true,
    ipMasqRandomFully: false,
    leaseTtl: 5400,
    nodeName: "node-a",
    logLevel: "warn",
  });
  expect(config.underlay.ifaceRegex).toEqual(["^eth[12]$"]);
  expect(config.underlay.publicIp[6] && formatAddr(config.underlay.publicIp[6])).toBe("2001:db8::1");
});

test("a mistyped variable is warned of, flannel's own are not", () => {
  expect(run([], { TWILLD_ETCD_ENDPOINT: "x", TWILLD_SERVICE_HOST: "y", FLANNELD_WHATEVER: "z" }).warnings).toEqual([
    "TWILLD_ETCD_ENDPOINT in the environment is ignored: did you mean TWILLD_ETCD_ENDPOINTS?",
    "TWILLD_SERVICE_HOST in the environment is ignored: there is no such flag",
  ]);
});

const bad: readonly { argv: readonly string[]; env?: Environment; says: readonly string[] }[] = [
  { argv: ["--etcd-endpoint=x"], says: ["unknown flag --etcd-endpoint: did you mean --etcd-endpoints?"] },
  { argv: ["node1"], says: ['"node1" is not a flag: twilld takes only --name=value'] },
  { argv: ["-ip-masq", "false"], says: ['--ip-masq does not take "false" as its value: write --ip-masq=false'] },
  { argv: ["--public-ip=2001:db8::1"], says: ['--public-ip is "2001:db8::1": give an IPv4 address, as 192.0.2.1'] },
  { argv: ["--public-ip=10.0.0.1/24"], says: ['--public-ip is "10.0.0.1/24": give an IPv4 address, as 192.0.2.1'] },
  { argv: ["--public-ipv6=10.0.0.1"], says: ['--public-ipv6 is "10.0.0.1": give an IPv6 address, as 2001:db8::1'] },
  { argv: ["--iface-can-reach=host"], says: ['--iface-can-reach is "host": give an IP address'] },
  { argv: ["--iface=eth0,eth1"], says: ['--iface is "eth0,eth1": give one interface, and repeat --iface for more'] },
  {
    argv: ["--iface=a-name-much-too-long"],
    says: ['--iface is "a-name-much-too-long": give the name of an interface or an address on it'],
  },
  { argv: ["--iface-regex=eth("], says: ['--iface-regex is "eth(": give a regular expression in JavaScript\'s form'] },
  { argv: ["--healthz-port=99999"], says: ['--healthz-port is "99999": give a port number from 0 to 65535'] },
  { argv: ["--healthz-ip=localhost"], says: ['--healthz-ip is "localhost": give an IP address'] },
  {
    argv: ["--subnet-lease-renew-margin=1440"],
    says: ['--subnet-lease-renew-margin is "1440": give minutes from 1 to 1439'],
  },
  { argv: ["--subnet-lease-ttl=1s"], says: ['--subnet-lease-ttl is "1s": give a time from 2s to 8760h'] },
  { argv: ["--subnet-lease-ttl=2.5s"], says: ['--subnet-lease-ttl is "2.5s": give a time in whole seconds'] },
  {
    argv: ["--resync=soon"],
    says: ['--resync is "soon": give a time as "24h", "90s" or a number of seconds'],
  },
  { argv: ["--state-dir=/proc/x"], says: ['--state-dir is "/proc/x": give a path where files can be made'] },
  { argv: ["--subnet-file=/proc/x"], says: ['--subnet-file is "/proc/x": give a path where files can be made'] },
  {
    argv: ["--subnet-file=/run/../proc/x"],
    says: ['--subnet-file is "/run/../proc/x": give a path where files can be made'],
  },
  { argv: ["--state-dir=var"], says: ['--state-dir is "var": give an absolute path'] },
  {
    argv: [`--run-dir=/${"x".repeat(95)}`],
    says: [
      `--run-dir is "/${"x".repeat(95)}": give a path of at most 95 bytes, since a socket's path may not be longer`,
    ],
  },
  {
    argv: ["--state-dir=/srv/twill/"],
    env: { TWILLD_RUN_DIR: "/srv//twill" },
    says: ["--state-dir and --run-dir are both /srv//twill: give each a directory of its own"],
  },
  { argv: ["--verify-sender=lax"], says: ['--verify-sender is "lax": give default or strict'] },
  { argv: ["--log-level=loud"], says: ['--log-level is "loud": give debug, info, warn or error'] },
  { argv: [], env: { FLANNELD_IP_MASQ: "maybe" }, says: ['FLANNELD_IP_MASQ is "maybe": give true or false'] },
  {
    argv: ["--node-name=node one"],
    says: ['--node-name is "node one": give at most 253 printable characters without spaces'],
  },
  {
    argv: ["-kube-subnet-mgr"],
    says: [
      "--kube-subnet-mgr: twill leases subnets from etcd, not from the Kubernetes API; remove it and give --etcd-endpoints",
    ],
  },
  {
    argv: ["-ip-blackhole-route=true"],
    says: ["--ip-blackhole-route: twill does not set a blackhole route for its subnet; remove it"],
  },
];

for (const { argv, env, says } of bad) {
  test(`refused: ${[...argv, ...Object.keys(env ?? {})].join(" ").slice(0, 60)}`, () => {
    expect(problems(argv, env)).toEqual(says);
  });
}

test("flannel's flags without a meaning here are ignored with a warning each", () => {
  const argv = "-vmodule=a=1 -log_backtrace_at x.go:1 -net-config-path=/x -kubeconfig-file=/y -kube-api-url=z";
  const { warnings } = run([...argv.split(" "), "-kube-annotation-prefix=k", "-set-node-network-unavailable"]);
  expect(warnings.map((warning) => /^(\S+) is ignored: \S/.exec(warning)?.[1])).toEqual([
    "--kube-api-url",
    "--kubeconfig-file",
    "--kube-annotation-prefix",
    "--set-node-network-unavailable",
    "--net-config-path",
    "--vmodule",
    "--log_backtrace_at",
  ]);
});

test("all problems are told at once", () => {
  const all = problems(["--healthz-port=x", "--wat", "--dataplane=ebpf"], { TWILLD_RESYNC: "0" });
  expect(all).toEqual([
    "unknown flag --wat",
    'TWILLD_RESYNC is "0": give a time from 1s to 24h',
    '--healthz-port is "x": give a port number from 0 to 65535',
    '--dataplane is "ebpf": give tun or kernel',
  ]);
});

test("the renew margin is capped at two thirds of the TTL, with a warning where it was asked for", () => {
  expect(run(["--subnet-lease-ttl=60s"])).toMatchObject({
    config: { leaseTtl: 60, renewMargin: 40 },
    warnings: [],
  });
  expect(run(["--subnet-lease-ttl=60", "--subnet-lease-renew-margin=1"])).toMatchObject({
    config: { leaseTtl: 60, renewMargin: 40 },
    warnings: ["--subnet-lease-renew-margin=1 is more than two thirds of the lease's TTL: 40 s is taken instead"],
  });
});

const verbosities = [
  { argv: ["-v=0"], level: "info" },
  { argv: ["-v", "4"], level: "debug" },
  { argv: ["-v=10"], level: "debug" },
  { argv: ["-v=10", "--log-level=error"], level: "error" },
];

for (const { argv, level } of verbosities) {
  test(`${argv.join(" ")} logs at ${level}`, () => {
    const { config, warnings } = run(argv);
    expect(config.logLevel).toBe(level);
    expect(warnings).toHaveLength(1);
  });
}

// As flannel writes it, which stays in that directory.
test("a subnet file is relative to the directory that the agent was started in", () => {
  expect(run(["--subnet-file=run/subnet.env"]).config.subnetFile).toBe(`${process.cwd()}/run/subnet.env`);
  expect(run([], { FLANNELD_SUBNET_FILE: "subnet.env" }).config.subnetFile).toBe(`${process.cwd()}/subnet.env`);
});

test("a run directory loses its trailing slash", () => {
  expect(run(["--run-dir=/run/twill/"]).config.runDir).toBe("/run/twill");
});

test("--help and --version win over everything else", () => {
  expect(parseArgs(["--wat", "-h"], {}).kind).toBe("help");
  expect(parseArgs(["-version"], {})).toEqual({ kind: "version", text: `twilld ${VERSION}\n` });
  expect(parseArgs(["--help=false"], {}).kind).toBe("run");
  expect(parseArgs([], { TWILLD_HELP: "true", FLANNELD_VERSION: "true" }).kind).toBe("run");
});
