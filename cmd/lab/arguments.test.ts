import { expect, test } from "vitest";
import { ConfigError } from "../../pkg/base/errors.ts";
import { parseArguments } from "./arguments.ts";

const defaults = {
  command: "up",
  name: undefined,
  nodes: 3,
  pods: 2,
  detach: false,
  dataplane: "tun",
  network: "10.244.0.0/16",
  mtu: 1500,
  twilldArgs: [],
};

const read = [
  { args: "", command: defaults },
  { args: "up", command: defaults },
  { args: "--nodes 5", command: { ...defaults, nodes: 5 } },
  { args: "up --nodes=5 --pods 0 --detach", command: { ...defaults, nodes: 5, pods: 0, detach: true } },
  { args: "up --network 10.9.1.2/16 --mtu 9000", command: { ...defaults, network: "10.9.0.0/16", mtu: 9000 } },
  { args: "up --dataplane kernel --name b", command: { ...defaults, dataplane: "kernel", name: "b" } },
  { args: "--pods 1 -- --log-level=debug", command: { ...defaults, pods: 1, twilldArgs: ["--log-level=debug"] } },
  { args: "down", command: { command: "down", name: undefined, all: false } },
  { args: "down --name x --all", command: { command: "down", name: "x", all: true } },
  { args: "exec node2", command: { command: "exec", name: undefined, place: "node2", argv: [] } },
  { args: "exec pod2.1 -- ls --help", command: { command: "exec", place: "pod2.1", argv: ["ls", "--help"] } },
  { args: "exec --name x node2 ip a", command: { command: "exec", name: "x", place: "node2", argv: ["ip", "a"] } },
  { args: "etcdctl get --prefix /", command: { command: "etcdctl", name: undefined, args: ["get", "--prefix", "/"] } },
  { args: "etcdctl --name=x --help", command: { command: "etcdctl", name: "x", args: ["--help"] } },
  { args: "logs etcd", command: { command: "logs", name: undefined, of: "etcd" } },
  { args: "up --help", command: { command: "help" } },
];

for (const { args, command } of read) {
  test(`"${args}" is understood`, () => {
    expect(parseArguments(split(args))).toMatchObject(command);
  });
}

const refused = [
  { args: "frob", says: "unknown command frob: give one of up, down, status, logs, exec, etcdctl, help" },
  {
    args: "up --frob",
    says: "up has no option --frob: it has --name, --nodes, --pods, --dataplane, --network, --mtu, --detach",
  },
  { args: "up three", says: "up does not take the argument three" },
  { args: "--nodes", says: "--nodes needs a value" },
  { args: "--nodes three", says: "--nodes three: give a number from 1 to 250" },
  { args: "--nodes 0", says: "--nodes 0: give a number from 1 to 250" },
  {
    args: "--detach=yes",
    says: "up has no option --detach: it has --name, --nodes, --pods, --dataplane, --network, --mtu, --detach",
  },
  { args: "--dataplane bpf", says: "--dataplane bpf: give tun or kernel" },
  { args: "--network fd05::/56", says: "--network fd05::/56: give an IPv4 network, such as 10.244.0.0/16" },
  { args: "--name ../x", says: "--name ../x: give up to 31 small letters, digits and dashes" },
  { args: "exec", says: "exec where? give a place such as node2, pod2.1 or underlay, and behind -- the command" },
  { args: "logs", says: "logs of what? give one node, such as node2, or etcd" },
];

for (const { args, says } of refused) {
  test(`"${args}" is refused in one sentence`, () => {
    expect(() => parseArguments(split(args))).toThrow(new ConfigError([says]));
  });
}

function split(args: string): string[] {
  return args === "" ? [] : args.split(" ");
}
