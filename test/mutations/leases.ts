import type { Mutation } from "./mutation.ts";

const HOLD = "pkg/subnet/lease-hold.ts";
const ACQUISITION = "pkg/subnet/acquisition.ts";
const LIFE = "test/sim/lease-life.test.ts";
const TROUBLE = "test/sim/agent-trouble.test.ts";
const RESTART = "test/sim/agent-restart.test.ts";
const LEAVE = "test/sim/agent-leave.test.ts";

export const LEASES: readonly Mutation[] = [
  {
    fault: "the lease is lost: it ran out while the node was cut off for days",
    handling: "the same subnet is taken back by compare-and-swap when nobody has it",
    edits: [
      {
        file: HOLD,
        find: "if (!entry) await this.#takeBack(lease);",
        replace: 'if (!entry) this.#lose("gone");',
      },
    ],
    test: { file: LIFE, name: "a node that was cut off for days takes its subnet again when nobody has it" },
  },
  {
    fault: "an operator deletes the key (etcdctl del)",
    handling: "the watch tells of our own key, and the lease is looked at then",
    edits: [
      {
        file: "pkg/subnet/subnet-manager.ts",
        find: "    if (touched) this.#hold.wake();\n",
        replace: "    void touched;\n",
      },
    ],
    test: { file: LIFE, name: "its key was deleted: the same subnet is taken again at once" },
  },
  {
    fault: "the etcd lease is revoked",
    handling: "a key that went away is taken again under a new etcd lease",
    edits: [
      {
        file: HOLD,
        find: "const leaseId = await registry.grant(ttl);",
        replace: "const leaseId = lease.leaseId;",
      },
    ],
    test: { file: LIFE, name: "its etcd lease was revoked: the same subnet is taken again at once" },
  },
  {
    fault: "the key is gone, but the etcd lease lives",
    handling: "a renewal reads the key as well, which a keepalive does not need",
    edits: [
      {
        file: HOLD,
        find: "const entry = await registry.get(lease.key);\n      if (!entry)",
        replace:
          "const entry = granted > 0 ? { ...lease, value: encodeLeaseValue(lease.attrs), createRevision: held.createRevision } : await registry.get(lease.key);\n      if (!entry)",
      },
    ],
    test: { file: LIFE, name: "its key was deleted: the same subnet is taken again at once" },
  },
  {
    fault: "the lease expired while the agent was stopped for longer than the TTL",
    handling: "the subnet of the last run is preferred",
    edits: [
      {
        file: "pkg/agent/membership.ts",
        find: "Object.keys(inFile).length > 0 ? inFile : (this.#restored?.lease.subnet ?? {});",
        replace: "Object.keys(inFile).length > 0 ? {} : {};",
      },
    ],
    test: { file: RESTART, name: "it leases its subnet again, known from subnet.env or else from state.json" },
  },
  {
    fault: "the same, and somebody else has the subnet by now",
    handling: "another one is leased, and the log names the node whose it is",
    edits: [{ file: ACQUISITION, find: "    this.#tellOfPrevious(survey, chosen);\n", replace: "" }],
    test: { file: RESTART, name: "where another node has it by now, it leases another one and names that node" },
  },
  {
    fault: "etcd is down at a restart, and the lease has run out meanwhile",
    handling: "packets are carried, no pod is attached",
    edits: [
      {
        file: "pkg/agent/membership.ts",
        find: "return expiresAt === 0 || this.#parts.clock.wall() < expiresAt;",
        replace: "return expiresAt >= 0;",
      },
    ],
    test: { file: RESTART, name: "with etcd down and the lease run out it carries packets and hands out nothing new" },
  },
  {
    fault: "no subnet is left, and somebody widens the network config",
    handling: "it is read again before each try",
    edits: [
      {
        file: "pkg/agent/membership.ts",
        find: "      network = await this.#enter(network, signal);\n",
        replace: "",
      },
    ],
    test: { file: TROUBLE, name: "out of subnets ends when the network config is widened" },
  },
  {
    fault: "somebody else takes the subnet",
    handling: "a conflict: never overwritten, ended when it is free",
    edits: [
      {
        file: HOLD,
        find: "    if (sameAddr(attrs.publicIp[me.family], me)) return true;\n",
        replace: "    if (sameAddr(me, me)) return true;\n",
      },
    ],
    test: { file: TROUBLE, name: "a subnet that somebody else holds now is a conflict: pods stay, none are added" },
  },
  {
    fault: "the same: what is told",
    handling: "log, status, readyz and CNI STATUS name it; pods stay, none are added",
    edits: [
      {
        file: "pkg/agent/membership.ts",
        find: 'case "conflict":\n        return { state: "conflict", message };',
        replace: 'case "conflict":\n        return undefined;',
      },
    ],
    test: { file: TROUBLE, name: "a subnet that somebody else holds now is a conflict: pods stay, none are added" },
  },
  {
    fault: "somebody else takes a larger subnet around ours",
    handling: "an overlap counts like our own key",
    edits: [
      {
        file: HOLD,
        find: "if (other) return this.#conflict(lease, `it overlaps lease ${describeClaim(other)}`);",
        replace: "void other;",
      },
    ],
    test: { file: LIFE, name: "a larger lease over the lost subnet is a conflict as well" },
  },
  {
    fault: "our value is overwritten with nonsense",
    handling: "while it hangs on our etcd lease it is ours, and written again",
    edits: [
      {
        file: HOLD,
        find: 'if (!attrs) return entry.leaseId === lease.leaseId && entry.leaseId !== "0";',
        replace: "if (!attrs) return false;",
      },
    ],
    test: { file: LIFE, name: "a value that was scribbled over while it hangs on our lease is written again" },
  },
  {
    fault: "the TTL is shortened by somebody",
    handling: "the next renewal is due by what etcd granted",
    edits: [
      {
        file: HOLD,
        find: "const left = expires === undefined ? ttl * 1000 : expires - clock.now();",
        replace: "const left = expires === undefined ? ttl * 1000 : ttl * 1000 + 0 * clock.now();",
      },
    ],
    test: { file: LIFE, name: "a lease that somebody has made shorter is renewed in time" },
  },
  {
    fault: "the TTL is shortened by our own flag",
    handling: "the lease moves to an etcd lease of the new TTL, the old one is revoked",
    edits: [{ file: ACQUISITION, find: "if (granted !== ttl) leaseId = await this.#grant();", replace: "" }],
    test: { file: LIFE, name: "another TTL means another etcd lease, and the old one goes" },
  },
  {
    fault: "the renewal margin is near the TTL",
    handling: "the margin is capped at two thirds",
    edits: [
      {
        file: HOLD,
        find: "Math.max(left - renewMargin * 1000, left / 3, 1000)",
        replace: "Math.max(left - renewMargin * 1000, 1000)",
      },
    ],
    test: { file: LIFE, name: "a margin near the TTL is capped at two thirds of it" },
  },
  {
    fault: "two live nodes have one public address",
    handling: "a session key: the second is refused, and both are named",
    edits: [
      {
        file: "pkg/subnet/session.ts",
        find: 'if (entry && !ours && entry.leaseId !== "0") throw this.#inUse(publicIp, entry);',
        replace: 'if (entry && !ours && entry.leaseId !== "0") throw new Error("in use");',
      },
    ],
    test: { file: LIFE, name: "the second is refused while the first lives, with a sentence that names both" },
  },
  {
    fault: "twillctl leave while etcd is down",
    handling: "nothing is changed, and the node goes on",
    edits: [
      {
        file: "pkg/agent/agent.ts",
        find: "      this.#leaving = false;\n      this.#onChange();\n",
        replace: "",
      },
    ],
    test: { file: LEAVE, name: "without etcd it does not leave: nothing is changed, and it goes on" },
  },
  {
    fault: "twillctl leave",
    handling: "drain, revoke, clean up",
    edits: [
      {
        file: "pkg/agent/agent.ts",
        find: "const problems = [...(await this.#overlay.remove())];",
        replace: "const problems: string[] = [];",
      },
    ],
    test: { file: LEAVE, name: "lease, session, device, routes, rules and subnet.env go" },
  },
  {
    fault: "two reserve one subnet for different nodes at once",
    handling: "a reservation is a transaction on what was seen",
    edits: [
      {
        file: "pkg/subnet/reservations.ts",
        find: "if (present && !isMine(present)) throw new ReservationError(`it is taken: ${describeClaim(present)}`);\n",
        replace: "",
      },
    ],
    test: {
      file: "test/sim/reservations.test.ts",
      name: "of two who reserve one subnet for different nodes at the same time, one is told",
    },
  },
  {
    fault: "a reservation is ended while its node holds it",
    handling: "it becomes a lease again",
    edits: [
      {
        file: "pkg/subnet/reservations.ts",
        find: 'if (claim.lease && claim.lease.attrs.backendType !== "") {',
        replace: 'if (claim.lease && claim.lease.attrs.backendType === "none") {',
      },
    ],
    test: {
      file: "test/sim/reservations.test.ts",
      name: "a lease becomes a reservation under the node that holds it, and a lease again",
    },
  },
  {
    fault: "a copied machine joins with the VTEP MAC of the one that it was copied from",
    handling: "peers are carried in the order in which they came: the one that was there stays reachable",
    edits: [
      {
        file: "pkg/lease/lease-table.ts",
        find: ".sort((a, b) => (a.created < b.created ? -1 : a.created > b.created ? 1 : 0))",
        replace: "",
      },
    ],
    test: {
      file: "test/sim/agent-start.test.ts",
      name: "peers are programmed in the order in which they came",
    },
  },
  {
    fault: "etcd is away for an hour: what the session's tries cost",
    handling: "while the watch has no etcd either they are made once a minute, and at once when it has",
    edits: [
      {
        file: "pkg/subnet/subnet-manager.ts",
        find: 'this.#contact.isLost("watch") ? SESSION_PATIENCE_MS : backoff.next()',
        replace: "(void SESSION_PATIENCE_MS, backoff.next())",
      },
    ],
    test: { file: LIFE, name: "is asked for once a minute while the watch has no etcd either" },
  },
];
