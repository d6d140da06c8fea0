import { FLAGS as AGENT_FLAGS } from "../../pkg/agent/flag-table.ts";
import type { Command, CommandFlag } from "./command.ts";

/** What every command takes. */
export const GLOBAL_FLAGS: readonly CommandFlag[] = [
  {
    name: "socket",
    kind: "value",
    arg: "PATH",
    help: "the agent's control socket: <run-dir>/twilld.sock (environment TWILL_SOCKET, default /run/twill/twilld.sock)",
  },
  { name: "json", kind: "bool", help: "JSON for programs; times are milliseconds since 1970" },
  { name: "version", kind: "bool", help: "print the version" },
  { name: "help", alias: "h", kind: "bool", help: "print this" },
];

/** What those take that can show themselves again and again. */
export const WATCH_FLAG: CommandFlag = {
  name: "watch",
  alias: "w",
  kind: "bool",
  help: "show it every second until Ctrl-C; with --json one line for each time",
};

/** For what is read from etcd or written there without the agent; as twilld's, also in the environment. */
const ETCD_FLAGS: readonly CommandFlag[] = AGENT_FLAGS.filter((flag) => flag.group === "etcd");

/** Every command, in the order of the help text. */
export const COMMANDS: readonly Command[] = [
  {
    name: "status",
    takes: [],
    watchable: true,
    summary: "this node: its lease, data plane and etcd, and how each peer is reached",
    load: async () => (await import("./status.ts")).runStatus,
  },
  {
    name: "leases",
    takes: [],
    watchable: true,
    flags: [{ name: "etcd", kind: "bool", help: "read them from etcd instead of the agent" }, ...ETCD_FLAGS],
    summary: "every lease of the cluster that this node knows; with --etcd those that stand in etcd",
    load: async () => (await import("./leases.ts")).runLeases,
  },
  {
    name: "peers",
    takes: [],
    watchable: true,
    summary: "every other node: whether it is programmed and answers, round trip, loss, path MTU and traffic",
    load: async () => (await import("./peers.ts")).runPeers,
  },
  {
    name: "probe",
    takes: [],
    mayTake: ["NODE|POD-IP"],
    summary:
      "measure the way to every peer now, or to one, or to a pod there: echoes over the overlay and, where those are " +
      "lost, on the underlay; the largest packet that passes; TCP",
    load: async () => (await import("./probe.ts")).runProbe,
  },
  {
    name: "top",
    takes: [],
    watchable: true,
    live: true,
    summary: "live traffic of each peer, the busiest first, with round trip and loss; on a terminal until Ctrl-C",
    load: async () => (await import("./top.ts")).makeTop(),
  },
  {
    name: "ui",
    takes: [],
    flags: [{ name: "port", kind: "value", arg: "N", help: "on localhost (default any free one)" }],
    summary:
      "a web page on localhost until Ctrl-C: a live map of the mesh, round trips and losses, traffic, drops and events; " +
      "an agent knows only its own row of it: give --socket several times for more",
    load: async () => (await import("./ui.ts")).runUi,
  },
  {
    name: "trace",
    takes: ["POD-IP"],
    summary:
      "step by step the lease, route, neighbour, FDB entry, device, peer and MTU that a packet from this node " +
      "to an address would use, and where it would stop",
    load: async () => (await import("./trace.ts")).runTrace,
  },
  {
    name: "doctor",
    takes: [],
    flags: [
      {
        name: "subnet-file",
        kind: "value",
        arg: "FILE",
        help: "twilld's subnet.env (default /run/flannel/subnet.env)",
      },
      { name: "cni-conf-dir", kind: "value", arg: "DIR", help: "the runtime's networks (default /etc/cni/net.d)" },
      {
        name: "cni-bin-dir",
        kind: "value",
        arg: "DIR,...",
        help: "the runtime's CNI plugins (default /opt/cni/bin,/usr/lib/cni)",
      },
    ],
    summary:
      "look for what is wrong with this host, its peers and the cluster: what, the evidence, and a command that mends it",
    load: async () => (await import("./doctor.ts")).runDoctor,
  },
  {
    name: "capture",
    takes: ["FILE"],
    mayTake: ["NODE|POD-IP"],
    flags: [
      { name: "seconds", kind: "value", arg: "N", help: "how long (default 10)" },
      { name: "packets", kind: "value", arg: "N", help: "end after so many" },
    ],
    summary: "record the overlay's packets on both sides of the tunnel as a pcap file for tshark; it needs tcpdump",
    load: async () => (await import("./capture.ts")).runCapture,
  },
  {
    name: "logs",
    takes: [],
    flags: [{ name: "follow", alias: "f", kind: "bool", help: "also what comes, until Ctrl-C" }],
    summary: "the agent's last thousand log lines, wherever it writes them",
    load: async () => (await import("./logs.ts")).runLogs,
  },
  {
    name: "log-level",
    takes: [],
    mayTake: ["debug|info|warn|error"],
    summary: "how much the agent logs; with a level set it, until the agent is started again",
    load: async () => (await import("./log-level.ts")).runLogLevel,
  },
  {
    name: "config show",
    takes: [],
    summary:
      "what the agent runs with and where each value came from: default, flag, environment, network config, found out",
    load: async () => (await import("./config-show.ts")).runConfigShow,
  },
  {
    name: "config check",
    takes: ["FILE|-"],
    summary: "check a network config, and print the values that it gives with every default filled in",
    load: async () => (await import("./config-check.ts")).runConfigCheck,
  },
  {
    name: "config set",
    takes: ["FILE|-"],
    flags: [{ name: "force", kind: "bool", help: "also where living leases do not fit the new config" }, ...ETCD_FLAGS],
    summary: "write a network config to etcd once it is found right beside the leases that live there",
    load: async () => (await import("./config-set.ts")).runConfigSet,
  },
  {
    name: "reserve",
    takes: ["SUBNET", "PUBLIC-IP"],
    summary:
      "keep a subnet for the node at an address, also while it is away; in dual stack one of each family, with a " +
      "comma between",
    load: async () => (await import("./changes.ts")).runReserve,
  },
  {
    name: "unreserve",
    takes: ["SUBNET"],
    summary: "end a reservation; a node that lives there goes on with a lease",
    load: async () => (await import("./changes.ts")).runUnreserve,
  },
  {
    name: "install-cni",
    takes: [],
    flags: [
      { name: "bin-dir", kind: "value", arg: "DIR", help: "where runtimes look for plugins (default /opt/cni/bin)" },
      { name: "conf-dir", kind: "value", arg: "DIR", help: "where they look for networks (default /etc/cni/net.d)" },
      { name: "plugin", kind: "value", arg: "FILE", help: "the program twill-cni (default: the one beside twillctl)" },
      { name: "force", kind: "bool", help: "also in place of another plugin or network of that name" },
    ],
    summary:
      "make this host's container runtimes know the network: a link to the plugin, and 10-twill.conflist; what " +
      "another has put there stays",
    load: async () => (await import("./install-cni.ts")).runInstallCni,
  },
  {
    name: "leave",
    takes: [],
    summary:
      "take this node out of the cluster for good: no new pods, its subnet given back, device, routes and rules " +
      "removed; twilld ends with exit code 0. Where it does not run, start it first",
    load: async () => (await import("./changes.ts")).runLeave,
  },
  {
    name: "completion",
    takes: ["bash|zsh|fish"],
    summary: "what makes a shell complete commands and flags: source <(twillctl completion bash)",
    load: async () => (await import("./completion.ts")).runCompletion,
  },
];

/** The flags that a command takes. */
export function flagsOf(command: Command): readonly CommandFlag[] {
  return [...GLOBAL_FLAGS, ...(command.watchable ? [WATCH_FLAG] : []), ...(command.flags ?? [])];
}

/** Every flag that some command takes, once. */
export function allFlags(): readonly CommandFlag[] {
  return [...new Map(COMMANDS.flatMap(flagsOf).map((flag) => [flag.name, flag])).values()];
}

/** "reserve SUBNET PUBLIC-IP", "probe [NODE|POD-IP]". */
export function usageOf(command: Command): string {
  return [command.name, ...command.takes, ...(command.mayTake ?? []).map((name) => `[${name}]`)].join(" ");
}
