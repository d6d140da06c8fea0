import type { Mutation } from "./mutation.ts";

const RECEIVE = "pkg/dataplane/tun/receive.ts";
const RULES = "pkg/dataplane/kernel/sender-rules.ts";
const VALUE = "pkg/lease/lease-value.ts";
const TABLE = "pkg/lease/lease-table.ts";
const VALUE_TEST = "pkg/lease/lease-value.test.ts";
const TABLE_TEST = "pkg/lease/lease-table.test.ts";
const CLIENT_TEST = "pkg/etcd/client.test.ts";
const FUZZ = { file: "test/fuzz/receive.test.ts", name: "datagrams are treated as the reference treats them" };
const STRICT = { ...FUZZ, within: "verify-sender strict" };
// All of the file's tests: the users are made by the first.
const CAPABILITIES = { file: "test/netns/security.test.ts", name: "etcd with TLS and users" };
const KERNEL = "test/netns/kernel-senders.test.ts";

function unchecked(fault: string, find: string, replace = ""): Mutation {
  return {
    fault,
    handling: "dropped and counted by the tun plane",
    edits: [{ file: RECEIVE, find, replace }],
    test: { ...FUZZ, within: "verify-sender default" },
  };
}

function malformed(fault: string, find: string, replace: string, name: string): Mutation {
  return {
    fault,
    handling: "a lease that makes no sense costs one warning and no other lease",
    edits: [{ file: VALUE, find, replace }],
    test: { file: VALUE_TEST, name },
  };
}

export const SECURITY: readonly Mutation[] = [
  unchecked("a datagram shorter than its headers", "if (end - at < HEADROOM) return COUNTER.rx_short;"),
  {
    fault: "a VXLAN header with another bit set",
    handling: "refused, as the kernel's receiver does",
    edits: [
      {
        file: "pkg/packet/vxlan.ts",
        find: "if (get32(buf, at + OFF_FLAGS) !== FLAG_VNI || (vni & VNI_RESERVED) !== 0) return VXLAN_BAD_FLAGS;",
        replace:
          "if ((get32(buf, at + OFF_FLAGS) & FLAG_VNI) === 0 || (vni & VNI_RESERVED) < 0) return VXLAN_BAD_FLAGS;",
      },
    ],
    test: { file: "pkg/packet/vxlan.test.ts", name: "remote checksum offload" },
  },
  unchecked("another network's VNI", "if (vni !== table.vni) return COUNTER.rx_bad_vni;"),
  unchecked(
    "an outer sender that is no peer",
    "if (!outer || sender < 0) return COUNTER.rx_unknown_peer;",
    "if (!outer) return COUNTER.rx_unknown_peer;",
  ),
  unchecked(
    "a frame for another MAC",
    "if (!sameBytes(bytes, ethernet + ETHERNET_DST_AT, outer.mac, 0, MAC_LEN)) return COUNTER.rx_bad_mac;",
  ),
  unchecked(
    "a wrong IP header or length",
    "if (length === 0 || ipVersion(bytes, ip) !== family || !ipv4HeaderOk(bytes, ip)) return COUNTER.rx_bad_ip;",
    "if (length === 0 || ipVersion(bytes, ip) !== family) return ipv4HeaderOk.length > 9 ? 0 : COUNTER.rx_short;",
  ),
  unchecked(
    "a peer sends from another peer's subnet",
    "if (slot >= 0) return this.#table.senderOf[slot] === sender ? ACCEPTED : COUNTER.rx_spoofed_source;",
    "if (slot >= 0) return ACCEPTED;",
  ),
  unchecked(
    "a peer sends from our own subnet, or from nobody's",
    "if (where === IN_OWN_SUBNET || where === IN_NETWORK) return COUNTER.rx_spoofed_source;",
    "if (where === IN_OWN_SUBNET) return ACCEPTED;",
  ),
  unchecked(
    "a peer sends from our own address",
    "if (inner.own.lookup(bytes, source) >= 0) return COUNTER.rx_spoofed_source;",
  ),
  unchecked(
    "a peer sends from loopback, martian or multicast addresses",
    "if (isNotUnicast(bytes, source, family)) return COUNTER.rx_martian;",
  ),
  unchecked(
    "a packet to a group or a broadcast",
    "if (isNotUnicast(bytes, destination, family)) return COUNTER.rx_bad_destination;",
  ),
  {
    fault: "a packet for another node's pod, which would go out again and again (amplification)",
    handling: "nothing that came in goes out again: dropped and counted by the tun plane",
    edits: [
      {
        file: RECEIVE,
        find: "if (inner.network.lookup(bytes, destination) === IN_NETWORK) return COUNTER.rx_bad_destination;",
        replace: "",
      },
      {
        file: RECEIVE,
        find: "if (inner.routes.lookup(bytes, destination) >= 0) return COUNTER.rx_bad_destination;",
        replace: "",
      },
    ],
    test: { ...FUZZ, within: "verify-sender default" },
  },
  {
    fault: "--verify-sender=strict: a source outside of the pod network",
    handling: "dropped by the tun plane",
    edits: [
      {
        file: RECEIVE,
        find: "return this.#table.strict ? COUNTER.rx_foreign_source : COUNTER.rx_foreign_accepted;",
        replace: "return COUNTER.rx_foreign_accepted;",
      },
    ],
    test: STRICT,
  },
  {
    fault: "an outer sender that is no peer, kernel plane",
    handling: "nft's last rule drops",
    edits: [{ file: RULES, find: '    rule([], drop("rx_unknown_peer")),\n', replace: "" }],
    test: { file: KERNEL, name: "a stranger: rx_unknown_peer" },
  },
  {
    fault: "another node's pod as the source, kernel plane",
    handling: "an nft rule by peer and subnet",
    edits: [
      {
        file: RULES,
        find: '    rule([match("==", masked(source, network), hex(network))], drop("rx_spoofed_source")),\n',
        replace: "",
      },
    ],
    test: { file: KERNEL, name: "another node's pod: rx_spoofed_source" },
  },
  {
    fault: "our own address as the source, kernel plane",
    handling: "an nft rule",
    edits: [
      {
        file: RULES,
        find: "    ...chunks(want.ownAddrs).map((chunk) =>\n",
        replace: "    ...chunks<Addr>([]).map((chunk) =>\n",
      },
    ],
    test: { file: KERNEL, name: "our own address: rx_spoofed_source" },
  },
  {
    fault: "a packet for another node's pod, kernel plane",
    handling: "an nft rule",
    edits: [
      {
        file: RULES,
        find: '      [match("==", masked(destination, network), hex(network)), match("!=", masked(destination, own), hex(own))],\n',
        replace:
          '      [match("==", masked(destination, network), hex(own)), match("!=", masked(destination, own), hex(own))],\n',
      },
    ],
    test: { file: KERNEL, name: "somebody else's subnet: rx_bad_destination" },
  },
  {
    fault: "--verify-sender=strict, kernel plane",
    handling: "an nft rule",
    edits: [
      {
        file: RULES,
        find: 'const foreign = strict ? drop("rx_foreign_source") :',
        replace: 'const foreign = strict && want.port < 0 ? drop("rx_foreign_source") :',
      },
    ],
    test: { file: KERNEL, name: "with --verify-sender=strict the world does not come through a peer" },
  },
  {
    fault: "whoever can cause log lines causes very many",
    handling: "a budget for each sentence",
    edits: [{ file: "pkg/agent/line-budget.ts", find: "if (bucket.left < 1) {", replace: "if (bucket.left < -1e9) {" }],
    test: { file: "pkg/agent/log.test.ts", name: "a sentence that is written without end is cut short" },
  },
  malformed(
    "a huge lease value",
    "if (text.length > LONGEST_VALUE) {",
    "if (text.length > LONGEST_VALUE * 1e6) {",
    "is malformed: has 1000029 characters",
  ),
  malformed(
    "a lease value of wrong types",
    'if (typeof value !== "string") throw new Malformed(`has a ${name} that is no string`);',
    'if (typeof value !== "string") return String(value);',
    "is malformed: has a BackendType that is no string",
  ),
  malformed(
    "shell text and line ends in a lease value",
    "  if (/\\p{Cc}/u.test(value)) throw new Malformed(`has a ${name} with control characters in it`);\n",
    "",
    "is malformed: has a NodeName with control characters",
  ),
  malformed(
    "a lease whose PublicIP is loopback, a group or a broadcast",
    "if (isNoOtherHost(addr)) throw",
    "if (isNoOtherHost(addr) && name === text) throw",
    "is malformed: not the address of one other host",
  ),
  malformed(
    "a lease whose MAC is the default destination of the kernel",
    "bytes.some((byte) => byte !== 0);",
    "bytes.length > 0;",
    "is malformed: has a VtepMAC that is no unicast MAC",
  ),
  {
    fault: "a lease on the default route, or anywhere outside of the pod network",
    handling: "not routed",
    edits: [
      {
        file: TABLE,
        find: "if (this.#network && !(network && containsPrefix(network, prefix))) {",
        replace: "if (this.#network && !network && containsPrefix(prefix, prefix)) {",
      },
    ],
    test: { file: TABLE_TEST, name: "a lease outside the network is not routed: it would draw other traffic" },
  },
  {
    fault: "a lease on our own subnet, or on a part of it",
    handling: "not routed, and both are named",
    edits: [
      {
        file: TABLE,
        find: "    if (overlap(own, lease)) {\n",
        replace: "    if (overlap(own, own) && own === lease) {\n",
      },
    ],
    test: {
      file: TABLE_TEST,
      name: "our own lease is no peer, and nothing that overlaps it or has our address is routed",
    },
  },
  {
    fault: "leases that overlap",
    handling: "the one that was there first is routed",
    edits: [
      {
        file: TABLE,
        find: "return this.#ownObjection(lease) ?? this.#overlapObjection(lease);",
        replace: 'return this.#ownObjection(lease) ?? (lease.key === "" ? this.#overlapObjection(lease) : undefined);',
      },
    ],
    test: { file: TABLE_TEST, name: "of overlapping leases the earlier one is routed, and a sentence names both" },
  },
  {
    fault: "millions of keys",
    handling: "as many leases as the packet loop has rows, the oldest",
    edits: [
      {
        file: TABLE,
        find: "if ((before || this.#known.size < MOST_LEASES) && this.#characters + more <= MOST_CHARACTERS) return true;",
        replace: "if (this.#characters + more <= MOST_CHARACTERS * 1e6) return true;",
      },
    ],
    test: { file: TABLE_TEST, name: "of very many leases the oldest are kept, with one warning" },
  },
  {
    fault: "millions of keys that make no sense",
    handling: "what is remembered of them is bounded",
    edits: [
      {
        file: TABLE,
        find: "if (told?.modRevision === row.modRevision || (!told && this.#malformed.size >= MOST_MALFORMED)) return;",
        replace: "if (told?.modRevision === row.modRevision || MOST_MALFORMED < 0) return;",
      },
    ],
    test: { file: TABLE_TEST, name: "keys that make no sense cost bounded memory and bounded text" },
  },
  {
    fault: "values of megabytes in etcd's answers",
    handling: "cut when read, and pages made smaller",
    edits: [{ file: "pkg/etcd/kv.ts", find: "page = Math.ceil(page / 8);", replace: "throw error;" }],
    test: { file: CLIENT_TEST, name: "a list of huge values comes through in smaller pages" },
  },
  {
    fault: "hostile leases against a whole node",
    handling: "no crash, no command, no stolen traffic",
    edits: [
      {
        file: TABLE,
        find: "if (overlap(own, lease)) {",
        replace: "if (overlap(own, lease) && own.key === lease.key) {",
      },
    ],
    test: { file: "test/netns/hostile-leases.test.ts", name: "nor command, nor redirect a node of the " },
  },
  {
    fault: "spoofed datagrams against a whole node",
    handling: "none delivered, each counted, none answered, none logged",
    edits: [
      {
        file: RECEIVE,
        find: "if (slot >= 0) return this.#table.senderOf[slot] === sender ? ACCEPTED : COUNTER.rx_spoofed_source;",
        replace: "if (slot >= 0) return ACCEPTED;",
      },
    ],
    test: {
      file: "test/netns/spoof.test.ts",
      name: "are dropped and counted, on the tun plane and on the kernel plane",
    },
  },
  {
    fault: "somebody between us and etcd",
    handling: "mTLS with a CA of one's own",
    edits: [
      {
        file: "pkg/etcd/client.ts",
        find: "...(tls && tlsFiles && { credentials: await readCredentials(settings) }),",
        replace: "...(tls && tlsFiles && { credentials: undefined as never }),",
      },
    ],
    test: { file: CLIENT_TEST, name: "a client with a certificate reads, writes, watches and keeps leases alive" },
  },
  {
    fault: "a node writes where it should not",
    handling: "etcd's users and roles; what is refused is told with the next step",
    edits: [
      {
        file: "pkg/etcd/client.ts",
        find: "...(username !== undefined && password !== undefined && { auth: { username, password } }),",
        replace: "",
      },
    ],
    test: { file: CLIENT_TEST, name: "what is refused is told in a sentence with the next step" },
  },
  {
    fault: "a password in the log",
    handling: "redacted by name",
    edits: [
      {
        file: "pkg/agent/log.ts",
        find: 'redact: ["password", "*.password", "*.*.password"],',
        replace: "redact: [],",
      },
    ],
    test: { file: "pkg/agent/log.test.ts", name: "passwords are not told, also inside of a config" },
  },
  {
    fault: "a password in the environment of the programs that we start",
    handling: "taken out of our own",
    edits: [
      {
        file: "cmd/twilld/main.ts",
        find: "for (const name of SECRET_VARIABLES) delete process.env[name];",
        replace: "",
      },
    ],
    test: CAPABILITIES,
  },
  {
    fault: "other users of the host read the state or the control socket",
    handling: "state.json is 0600",
    edits: [
      {
        file: "pkg/agent/state.ts",
        find: "{ mode: 0o600, dirMode: 0o755 }",
        replace: "{ mode: 0o644, dirMode: 0o755 }",
      },
    ],
    test: { file: "pkg/agent/state.test.ts", name: "what was saved is loaded, mode 0600 and nothing else" },
  },
  {
    fault: "other users reach the control socket, be it for a moment",
    handling: "it is bound where only we may go, and then renamed",
    edits: [
      {
        file: "pkg/api/socket.ts",
        find: '    const bound = join(dir, "s");\n    await bind(bound);\n    await rename(bound, path);\n',
        replace: "    await bind(path);\n    void [join, rename];\n",
      },
    ],
    test: { file: "pkg/api/socket.test.ts", name: "the socket is not reachable by others at any moment" },
  },
  {
    fault: "the agent is not root: CAP_NET_ADMIN and CAP_NET_RAW alone",
    handling: "it asks for nothing else",
    edits: [
      {
        file: "cmd/twilld/main.ts",
        find: 'process.chdir("/");',
        replace: 'process.chdir("/");\n  process.setuid?.(0);',
      },
    ],
    test: CAPABILITIES,
  },
];
