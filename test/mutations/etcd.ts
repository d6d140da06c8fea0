import type { Edit, Mutation } from "./mutation.ts";

const FOLLOW = "pkg/etcd/follow.ts";
const CLIENT = "pkg/etcd/client.ts";
const OUTAGE = "test/sim/etcd-outage.test.ts";
const FAULTS = "pkg/subnet/etcd-faults.test.ts";
const CONTRACT = { file: "pkg/subnet/etcd-registry.test.ts", writtenIn: "test/contract/registry.ts" };

const NO_PROBE: Edit = {
  file: FOLLOW,
  find: "} else if (now >= probeAt) {",
  replace: "} else if (now === Infinity) {",
};
const NO_KEEPALIVE: Edit = {
  file: CLIENT,
  find: '  "grpc.keepalive_time_ms": 10_000,\n  "grpc.keepalive_timeout_ms": 5000,\n',
  replace: "",
};

// Whatever etcd does, the agent goes on; these are all the places where it would not.
export const ETCD: readonly Mutation[] = [
  {
    fault: "etcd is down at the start",
    handling: "the agent waits for the network config, says so once, and goes on when etcd is there",
    edits: [
      {
        file: "pkg/subnet/config-source.ts",
        find: "if (!(error instanceof RegistryUnavailableError)) throw error;",
        replace: "throw error;",
      },
    ],
    test: { file: "test/sim/agent-start.test.ts", name: "without etcd it waits and says so" },
  },
  {
    fault: "etcd is down at the start, and the node has run before",
    handling: "the data plane starts from state.json before etcd has answered",
    edits: [
      {
        file: "pkg/agent/membership.ts",
        find: "if (!cluster) return false;",
        replace: "if (signal) return false;",
      },
    ],
    test: { file: "test/sim/agent-restart.test.ts", name: "with etcd down it carries packets from the last table" },
  },
  {
    fault: "etcd is killed",
    handling: "following the leases rides out every error of etcd's",
    edits: [
      {
        file: FOLLOW,
        find: "if (!(error instanceof EtcdError)) throw error;\n        this.#report(error);",
        replace: "throw error;",
      },
    ],
    test: { file: OUTAGE, name: "is killed and started again" },
  },
  {
    fault: "etcd is away when a lease is due",
    handling: "a renewal that fails is tried again, with the lease held or lost but never dropped",
    edits: [
      {
        file: "pkg/subnet/lease-hold.ts",
        find: 'contact.lost("renewal", error);',
        replace: 'contact.lost("renewal", error);\n          throw error;',
      },
    ],
    test: { file: "test/sim/lease-life.test.ts", name: "an outage is ridden out" },
  },
  {
    fault: "etcd is frozen: a call",
    handling: "every call has a deadline",
    edits: [
      {
        file: CLIENT,
        find: "isStream ? {} : { deadline: deps.clock.wall() + CALL_DEADLINE_MS }",
        replace: "isStream ? {} : {}",
      },
    ],
    test: { file: FAULTS, name: "a call to an etcd that hangs ends within two deadlines" },
  },
  {
    fault: "etcd is frozen: the watch",
    handling: "a quiet watch is probed, and there is HTTP/2 keepalive: either notices",
    edits: [NO_PROBE, NO_KEEPALIVE],
    test: { file: FAULTS, name: "an etcd that hangs for 15 s is noticed" },
  },
  {
    fault: "etcd is black-holed both ways",
    handling: "the same, and the way is opened anew",
    edits: [NO_PROBE, NO_KEEPALIVE],
    test: { ...CONTRACT, name: "an etcd that falls silent without closing anything is noticed, and heals" },
  },
  {
    fault: "the connection is half open: a firewall has forgotten it",
    handling: "the same",
    edits: [NO_PROBE, NO_KEEPALIVE],
    test: { file: FAULTS, name: "a connection that a firewall has forgotten is given up" },
  },
  {
    fault: "etcd answers pings, but has no quorum",
    handling: "a probe that fails counts as lost contact",
    edits: [NO_PROBE],
    test: { file: "pkg/etcd/follow.test.ts", name: "a probe that fails while the stream is quiet counts as lost" },
  },
  {
    fault: "etcd is restarted with the same data directory",
    handling: "the watch goes on behind the last event that came",
    edits: [
      {
        file: FOLLOW,
        find: "position.next = last + 1n;",
        replace: "position.next = BigInt(reply.header.revision) + 1n;",
      },
    ],
    test: { file: "pkg/etcd/follow.test.ts", name: "after a break it goes on behind the last event" },
  },
  {
    fault: "etcd is restarted with an empty or an older data directory",
    handling: "a revision, a term or a cluster that does not continue leads to a new list",
    edits: [
      {
        file: FOLLOW,
        find: "if (!same || BigInt(header.revision) < position.next - 1n) return false;",
        replace: "void same;",
      },
    ],
    test: { ...CONTRACT, name: "etcd that comes back empty gives an empty snapshot, and goes on" },
  },
  {
    fault: "etcd is restarted empty: the routes of live peers",
    handling: "what the new etcd misses is kept until its holder has told that it lives",
    edits: [{ file: "pkg/subnet/subnet-manager.ts", find: "    this.table.keepMissing();\n", replace: "" }],
    test: { file: OUTAGE, name: "comes back with an empty data directory" },
  },
  {
    fault: "etcd was emptied while the agent was stopped",
    handling: "state.json's revision is compared with etcd's",
    edits: [
      {
        file: "pkg/subnet/subnet-manager.ts",
        find: "if (historyLost || BigInt(snapshot.revision) < BigInt(this.table.revision)) this.#keep();",
        replace: "if (historyLost) this.#keep();",
      },
    ],
    test: { file: "test/sim/agent-trouble.test.ts", name: "etcd emptied while the agent was stopped" },
  },
  {
    fault: "a cluster of three loses its leader: calls",
    handling: "what may pass is tried again, by another member",
    edits: [
      {
        file: CLIENT,
        find: 'explained.reason === "unavailable" && attempt < tries;',
        replace: 'explained.reason === "unavailable" && attempt < 0;',
      },
    ],
    test: {
      file: "pkg/etcd/client.test.ts",
      name: "with one of two endpoints down calls do not take noticeably longer",
    },
  },
  {
    fault: "a cluster of three loses its leader: a whole agent",
    handling: "the watch that ends is opened again, by another member",
    edits: [
      {
        file: FOLLOW,
        find: "        if (stream.ended) {\n          if (confirmed) return;",
        replace:
          "        if (stream.ended) {\n          if (confirmed) return void (await sleep(clock, 600_000, this.#signal));",
      },
    ],
    test: { file: OUTAGE, name: "is three members, and the one that leads is killed" },
  },
  {
    fault: "the member that is watched is cut off from the leader",
    handling: "streams ask for a leader, so that etcd ends them",
    edits: [{ file: CLIENT, find: '        own.set("hasleader", "true");\n', replace: "" }],
    test: { file: FAULTS, name: "a member without a leader ends the watch" },
  },
  {
    fault: "one of several members hangs",
    handling: "a circuit breaker for each member",
    edits: [{ file: CLIENT, find: "hosts.length === 1\n", replace: "hosts.length >= 1\n" }],
    test: { file: "pkg/etcd/client.test.ts", name: "with one of two endpoints silent every call still succeeds" },
  },
  {
    fault: "the history is compacted past our revision",
    handling: "a watch that is refused for that leads to a new list, and its difference is applied",
    edits: [{ file: FOLLOW, find: 'if (reply.compact_revision !== "0") return this.#forget();\n', replace: "" }],
    test: { ...CONTRACT, name: "what was compacted while this client was cut off comes as a snapshot" },
  },
  {
    fault: "the auth token has expired",
    handling: "every watch begins with a read, which renews the token that the stream then uses",
    edits: [
      {
        file: FOLLOW,
        find: "      const response = await this.#unlessAborted(this.#probe());\n      if (!response) return undefined;\n      if (this.#continues(this.#position, response.header)) return this.#position;\n      this.#position = undefined;\n",
        replace: "      return this.#position;\n",
      },
    ],
    test: {
      file: "pkg/etcd/client.test.ts",
      name: "a follow whose token has run out goes on when its stream breaks",
    },
  },
  {
    fault: "etcd has no space left (NOSPACE)",
    handling: "a write that etcd refuses for now is waited for, with its reason",
    edits: [
      {
        file: "pkg/etcd/errors.ts",
        find: 'const reason = recoverable ? "unavailable" : "failed";',
        replace: 'const reason = recoverable && !cast.message.includes("space") ? "unavailable" : "failed";',
      },
    ],
    test: { file: OUTAGE, name: "has no space left" },
  },
  {
    fault: "etcd refuses user, password or role",
    handling: "a refusal is waited for, with its reason",
    edits: [
      {
        file: "pkg/subnet/etcd-registry.ts",
        find: 'error.reason === "unavailable" || error.reason === "refused"',
        replace: 'error.reason === "unavailable"',
      },
    ],
    test: { file: OUTAGE, name: "refuses: who is there stays, who starts waits" },
  },
  {
    fault: "the network config is missing or mistyped at a restart",
    handling: "that of the last run stays in use",
    edits: [
      {
        file: "pkg/agent/membership.ts",
        find: "await this.#enter(this.#restored?.network, signal)",
        replace: "await this.#enter(undefined, signal)",
      },
    ],
    test: { file: "test/sim/agent-restart.test.ts", name: "mistyped: it keeps its lease, follows the others" },
  },
  {
    fault: "etcd answers slowly",
    handling: "a deadline that leaves room, and a probe that does not hold up the events",
    edits: [
      { file: CLIENT, find: "export const CALL_DEADLINE_MS = 3000;", replace: "export const CALL_DEADLINE_MS = 300;" },
    ],
    test: { file: OUTAGE, name: "answers slowly" },
  },
  {
    fault: "a write goes through, but its answer is lost",
    handling: "a second try knows its own write",
    edits: [
      {
        file: "pkg/etcd/kv.ts",
        find: "return ours ? found : undefined;",
        replace: "return ours ? undefined : undefined;",
      },
    ],
    test: { file: FAULTS, name: "a write whose reply is lost and that is tried again is known as our own" },
  },
  {
    fault: "etcd loses an event, or we do",
    handling: "a list every five to ten minutes",
    edits: [{ file: FOLLOW, find: "        if (now >= this.#relistAt) return this.#forget();\n", replace: "" }],
    test: { file: "pkg/etcd/follow.test.ts", name: "the next list is due after five to ten minutes" },
  },
  {
    fault: "many agents come back to an etcd at once",
    handling: "a backoff that grows and is jittered",
    edits: [
      {
        file: "pkg/etcd/follow.ts",
        find: "await sleep(this.#source.clock, this.#backoff.next(), this.#signal);",
        replace: "await sleep(this.#source.clock, 10, this.#signal);",
      },
    ],
    test: {
      file: "pkg/etcd/follow.test.ts",
      name: "a stream that breaks as soon as it stands is opened less and less often",
    },
  },
  {
    fault: "an outage lasts: the log",
    handling: "one line when the first loop loses etcd, one with the duration when the last has it back",
    edits: [
      {
        file: "pkg/subnet/contact.ts",
        find: "if (this.#failing.size === 0) {",
        replace: "if (this.#failing.size >= 0) {",
      },
    ],
    test: { file: "pkg/subnet/contact.test.ts", name: "an outage that several loops notice is told once" },
  },
];
