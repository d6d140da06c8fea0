import type { FlagShape } from "../base/go-flags.ts";

export const GROUPS = ["etcd", "underlay", "lease", "traffic", "files", "health and logs", "other"] as const;

export interface Flag extends FlagShape {
  readonly group: (typeof GROUPS)[number];
  /** What stands for the value in the help text. */
  readonly arg?: string;
  /** As it would be written on the command line; none where the help text says what happens without. */
  readonly fallback?: string;
  readonly help: string;
}

/** Every flag that twilld acts on. Names and defaults that flannel has too are flannel's. */
export const FLAGS: readonly Flag[] = [
  {
    group: "etcd",
    name: "etcd-endpoints",
    kind: "value",
    arg: "URL,...",
    fallback: "http://127.0.0.1:4001,http://127.0.0.1:2379",
    help: "where etcd answers",
  },
  {
    group: "etcd",
    name: "etcd-prefix",
    kind: "value",
    arg: "KEY",
    fallback: "/coreos.com/network",
    help: "where the network config and the leases are",
  },
  { group: "etcd", name: "etcd-cafile", kind: "value", arg: "FILE", help: "CA that signed etcd's certificate" },
  { group: "etcd", name: "etcd-certfile", kind: "value", arg: "FILE", help: "our certificate, with --etcd-keyfile" },
  { group: "etcd", name: "etcd-keyfile", kind: "value", arg: "FILE", help: "its private key" },
  { group: "etcd", name: "etcd-username", kind: "value", arg: "NAME", help: "etcd user, with --etcd-password" },
  {
    group: "etcd",
    name: "etcd-password",
    kind: "value",
    arg: "TEXT",
    help: "its password; better given in the environment, which ps does not show",
  },

  {
    group: "underlay",
    name: "iface",
    kind: "value",
    arg: "NAME|IP",
    help: "interface to the other nodes; repeat it for more, the first found is taken",
  },
  {
    group: "underlay",
    name: "iface-regex",
    kind: "value",
    arg: "REGEX",
    help: "the same by pattern, tried on addresses and then on names",
  },
  {
    group: "underlay",
    name: "iface-can-reach",
    kind: "value",
    arg: "IP",
    help: "the interface by which this address is reached (without these: the default route's)",
  },
  {
    group: "underlay",
    name: "public-ip",
    kind: "value",
    arg: "IPV4",
    help: "address at which the other nodes reach this one, if not the interface's",
  },
  { group: "underlay", name: "public-ipv6", kind: "value", arg: "IPV6", help: "the same for IPv6" },

  {
    group: "lease",
    name: "subnet-lease-ttl",
    kind: "value",
    arg: "DURATION",
    fallback: "24h",
    help: "how long this node's subnet stays its own while it is away",
  },
  {
    group: "lease",
    name: "subnet-lease-renew-margin",
    kind: "value",
    arg: "MINUTES",
    fallback: "60",
    help: "how long before its end the lease is renewed, at most two thirds of the TTL",
  },
  {
    group: "lease",
    name: "node-name",
    kind: "value",
    arg: "NAME",
    help: "what the lease calls this node (without it: the host name)",
  },

  {
    group: "traffic",
    name: "dataplane",
    kind: "value",
    arg: "tun|kernel",
    fallback: "tun",
    help: "what carries VXLAN: tun in user space, which counts by peer; kernel the kernel's own device, for most throughput",
  },
  {
    group: "traffic",
    name: "offload",
    kind: "value",
    arg: "auto|tunnel-gso|gso|none",
    fallback: "auto",
    help: "in what form packets cross the kernel: super-packets that it cuts last (tunnel-gso) or that we cut (gso), or one by one; auto takes the first that works here",
  },
  {
    group: "traffic",
    name: "packet-threads",
    kind: "value",
    arg: "1|2",
    fallback: "1",
    help: "threads that carry packets on the tun plane: one for both directions, or one for each",
  },
  {
    group: "traffic",
    name: "verify-sender",
    kind: "value",
    arg: "default|strict",
    fallback: "default",
    help: "strict drops sources outside the pod network, except the sending node itself",
  },
  {
    group: "traffic",
    name: "ip-masq",
    kind: "bool",
    fallback: "false",
    help: "masquerade what pods send outside the pod network",
  },
  {
    group: "traffic",
    name: "ip-masq-fully-random-disable",
    kind: "bool",
    fallback: "false",
    help: "masquerade without fully random source ports",
  },
  {
    group: "traffic",
    name: "iptables-forward-rules",
    kind: "bool",
    fallback: "true",
    help: "accept pod traffic in FORWARD, whatever its policy",
  },
  {
    group: "traffic",
    name: "resync",
    kind: "value",
    arg: "DURATION",
    fallback: "1m",
    help: "how often the kernel's state is compared and put back, without a cause",
  },

  {
    group: "files",
    name: "subnet-file",
    kind: "value",
    arg: "FILE",
    fallback: "/run/flannel/subnet.env",
    help: "written last: the sign that pods may start",
  },
  {
    group: "files",
    name: "state-dir",
    kind: "value",
    arg: "DIR",
    fallback: "/var/lib/twill",
    help: "what must survive a reboot: who this node is, its lease, the last table",
  },
  {
    group: "files",
    name: "run-dir",
    kind: "value",
    arg: "DIR",
    fallback: "/run/twill",
    help: "the control socket twilld.sock and the agent's state for twill-cni",
  },

  {
    group: "health and logs",
    name: "healthz-ip",
    kind: "value",
    arg: "IP",
    fallback: "0.0.0.0",
    help: "where /healthz and /readyz are served",
  },
  {
    group: "health and logs",
    name: "healthz-port",
    kind: "value",
    arg: "PORT",
    fallback: "0",
    help: "their port; 0 serves neither",
  },
  {
    group: "health and logs",
    name: "log-level",
    kind: "value",
    arg: "debug|info|warn|error",
    fallback: "info",
    help: "what is told; -v=4 of flannel is debug",
  },
  {
    group: "health and logs",
    name: "log-format",
    kind: "value",
    arg: "auto|json|pretty",
    fallback: "auto",
    help: "auto: pretty on a terminal, plain lines in the journal of systemd, else JSON",
  },

  { group: "other", name: "version", kind: "bool", help: "print the version" },
  { group: "other", name: "help", alias: "h", kind: "bool", help: "print this" },
];
