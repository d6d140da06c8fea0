import type { Mutation } from "./mutation.ts";

const INTERRUPTIONS = "test/netns/interruptions.test.ts";
const CLOCK = "test/netns/clock-and-disk.test.ts";
const REPAIR = "test/netns/repair.test.ts";
const TROUBLE = "test/sim/agent-trouble.test.ts";
const RESTART = "test/sim/agent-restart.test.ts";
const OVERLAY = "pkg/agent/overlay.ts";
const STATE = "pkg/agent/state.ts";
const TUN = "a node of the tun plane";

export const CRASH: readonly Mutation[] = [
  {
    fault: "kill -9 under load: what stands in the kernel",
    handling: "the TUN device is persistent, and with it its addresses and routes",
    edits: [
      {
        file: "pkg/sys/tun-device.ts",
        find: "libc.ioctlPtr(fd, TUNSETPERSIST, 1)",
        replace: "libc.ioctlPtr(fd, TUNSETPERSIST, 0)",
      },
    ],
    test: { file: INTERRUPTIONS, within: TUN, name: "while no agent runs, device, addresses and routes stay" },
  },
  {
    fault: "kill -9: the session of the dead agent is still alive in etcd",
    handling: "our own NodeID in it is ours",
    edits: [
      {
        file: "pkg/subnet/session.ts",
        find: "const ours = entry !== undefined && readNode(entry)?.id === this.#node.id;",
        replace: "const ours = false;",
      },
    ],
    test: { file: "test/sim/lease-life.test.ts", name: "a node that was killed comes back within its session" },
  },
  {
    fault: "kill -9 under load while etcd is down",
    handling: "the data plane starts from state.json, and takes over what stands in the kernel",
    edits: [
      { file: "pkg/agent/membership.ts", find: "if (!cluster) return false;", replace: "if (signal) return false;" },
    ],
    test: {
      file: INTERRUPTIONS,
      within: TUN,
      name: "kill -9 and start, etcd down",
      writtenIn: "test/reliability/interruptions.ts",
    },
  },
  {
    fault: "kill -9 right after the node became ready or a peer joined, etcd down",
    handling: "state.json is written at once, and a pause comes after it",
    edits: [
      {
        file: "pkg/agent/agent.ts",
        find: "      const began = clock.now();\n",
        replace: "      await sleep(clock, SAVE_PAUSE_MS, signal);\n      const began = clock.now();\n",
      },
    ],
    test: { file: RESTART, name: "in the instant in which it became ready" },
  },
  {
    fault: "restart: what a node does beside carrying packets takes longer to load than the packet loop",
    handling: "it waits until the data plane carries what the last run knew",
    edits: [
      {
        file: "pkg/agent/agent.ts",
        find: "        await Promise.race([this.#restored.promise, sleep(clock, RESTORE_MS, inner)]);\n",
        replace: "",
      },
    ],
    test: { file: RESTART, name: "until the table of the last run is programmed" },
  },
  {
    fault: "restart",
    handling: "NodeID and VTEP MAC are kept in state.json",
    edits: [
      {
        file: STATE,
        find: "const state = decodeState(text);",
        replace: "const state = { ...decodeState(text), ...this.#fresh() };",
      },
    ],
    test: { file: RESTART, name: "subnet, VTEP MAC and node id stay, and no key is written anew" },
  },
  {
    fault: "upgrade: the old version is stopped",
    handling: "a stop keeps the lease and the kernel's state",
    edits: [
      {
        file: "pkg/agent/agent.ts",
        find: "        if (this.#left.signal.aborted)\n          await subnets.release()",
        replace: "        await subnets.release()",
      },
    ],
    test: { file: RESTART, name: "keeps the lease and subnet.env, gives up the session, and says that it stopped" },
  },
  {
    fault: "a stop while etcd is black-holed",
    handling: "loops that do not end in a second are left behind",
    edits: [
      {
        file: "pkg/agent/agent.ts",
        find: "const STOP_LOOPS_MS = 1_000;",
        replace: "const STOP_LOOPS_MS = 60_000;",
      },
    ],
    test: { file: RESTART, name: "with etcd black-holed: ends in time" },
  },
  {
    fault: "kill -9 while state.json is written, or a disk that spoils it",
    handling: "a file that makes no sense is kept as a copy and replaced",
    edits: [
      {
        file: STATE,
        find: "      this.#warnUnread(error);\n      this.#keepCopy();\n      return this.#fresh();",
        replace: "      throw error;",
      },
    ],
    test: { file: RESTART, name: "a state file that makes no sense is told and replaced" },
  },
  {
    fault: "the agent is started twice",
    handling: "flock on the state directory, which dies with its process",
    edits: [{ file: "pkg/agent/lock-dir.ts", find: "if (!tryLock(fd)) {", replace: "if (!tryLock(fd) && pid < 0) {" }],
    test: {
      file: "test/sim/agent-start.test.ts",
      name: "a second agent on the same state directory is refused by name",
    },
  },
  {
    fault: "the packet loop's thread dies",
    handling: "the end of the thread is the end of the plane, which is opened anew",
    edits: [
      {
        file: "pkg/dataplane/tun/loop-thread.ts",
        find: 'reject(new Error("the packet loop died", { cause }));',
        replace: "void [reject, cause];",
      },
    ],
    test: {
      file: INTERRUPTIONS,
      within: TUN,
      name: "the packet loop's thread dies",
      writtenIn: "test/reliability/interruptions.ts",
    },
  },
  {
    fault: "the packet loop hangs",
    handling: "readyz and the service manager's watchdog look at its turns",
    edits: [
      {
        file: "pkg/agent/agent.ts",
        find: "const LOOP_PATIENCE_MS = 5_000;",
        replace: "const LOOP_PATIENCE_MS = 5_000_000;",
      },
    ],
    test: { file: TROUBLE, name: "a packet loop that has stopped turning makes the node unready" },
  },
  {
    fault: "the data plane dies again and again",
    handling: "it is opened more and more rarely",
    edits: [
      {
        file: OVERLAY,
        find: "const afterMs = Math.round(this.#reopen.next());",
        replace: "const afterMs = 10;",
      },
    ],
    test: { file: TROUBLE, name: "a data plane that dies again and again is opened more and more rarely" },
  },
  {
    fault: "the TUN device is deleted",
    handling: "the plane that lost it dies, and another is opened",
    edits: [{ file: OVERLAY, find: "          this.#death = undefined;\n", replace: "" }],
    test: { file: REPAIR, within: "is back within two seconds: tun", name: "device deleted" },
  },
  {
    fault: "somebody flushes routes, rules or addresses",
    handling: "what changes in the kernel rings for a reconcile",
    edits: [
      {
        file: "pkg/agent/agent.ts",
        find: "    if (scope) this.#reconcile.ring(scope);\n",
        replace: "    void scope;\n",
      },
    ],
    test: { file: REPAIR, within: "is back within two seconds: tun", name: "routes flushed" },
  },
  {
    fault: "a command fails, or a bell is lost",
    handling: "a pass that fails is tried again, and one is made from time to time on principle",
    edits: [
      {
        file: "pkg/agent/reconcile.ts",
        find: "failed ? this.#backoff.next() : this.#options.resync",
        replace: "this.#options.resync",
      },
    ],
    test: { file: "pkg/agent/reconcile.test.ts", name: "a pass that fails is tried again, with growing delays" },
  },
  {
    fault: "one bad peer",
    handling: "it fails alone",
    edits: [
      {
        file: OVERLAY,
        find: "    this.peers = outcome.peers;\n",
        replace:
          '    this.peers = outcome.peers;\n    for (const state of outcome.peers.values()) if (state !== "in-sync") throw new Error(state.failed);\n',
      },
    ],
    test: { file: TROUBLE, name: "one that fails is told once, tried again, and holds up nobody" },
  },
  {
    fault: "the kernel refuses a peer's entry in the moment when it joins",
    handling: "no route leads to it, and a pass follows at once, which tells and tries again",
    edits: [
      {
        file: "pkg/dataplane/kernel/kernel-dataplane.ts",
        find: "    if ([...neighbours, ...fdb].some((error) => error)) return false;\n",
        replace: "    void [neighbours, fdb];\n",
      },
    ],
    test: {
      file: "pkg/dataplane/kernel/kernel-dataplane.test.ts",
      name: "that fails while a peer is welcomed is left to a reconcile",
    },
  },
  {
    fault: "the underlay goes down and up",
    handling: "while it is away the last one stays in use",
    edits: [
      {
        file: OVERLAY,
        find: "      return this.underlay;\n    }\n    if (!sameUnderlay",
        replace: '      throw new Error("the underlay is gone");\n    }\n    if (!sameUnderlay',
      },
    ],
    test: { file: TROUBLE, name: "an underlay that is gone for a while leaves everything as it is" },
  },
  {
    fault: "restart with a network that the host has no underlay for yet",
    handling: "the data plane of the network before goes on, and is looked after, until it has",
    edits: [
      {
        file: OVERLAY,
        find: "await this.#waitForUnderlay(familiesOf(network), signal)",
        replace: "await this.#lock.run(() => this.#waitForUnderlay(familiesOf(network), signal))",
      },
    ],
    test: { file: "test/sim/agent-start.test.ts", name: "goes on with the one before until it has" },
  },
  {
    fault: "a network config that the host has no underlay for, and that is put right",
    handling: "etcd is asked again while the underlay is waited for",
    edits: [
      { file: "pkg/agent/membership.ts", find: "!== reference) other.abort();", replace: "!== reference) continue;" },
    ],
    test: { file: "test/sim/agent-start.test.ts", name: "a config put right lets a node go on" },
  },
  {
    fault: "restart: the host can no longer open what the last run left",
    handling: "etcd is asked beside, and may name a network that it can",
    edits: [
      {
        file: "pkg/agent/reopening.ts",
        find: "    if (!same) this.#dropped.abort();\n",
        replace: "    void same;\n",
      },
    ],
    test: { file: RESTART, name: "for want of an underlay does not keep it from what etcd says now" },
  },
  {
    fault: "the underlay goes down and up: on the kernel",
    handling: "routes that the kernel took away come back",
    edits: [
      {
        file: "pkg/agent/agent.ts",
        find: "    if (scope) this.#reconcile.ring(scope);\n",
        replace: "    void scope;\n",
      },
    ],
    test: { file: REPAIR, within: "is back within two seconds: kernel", name: "device down" },
  },
  {
    fault: "the underlay comes back with another address",
    handling: "the data plane is opened anew on it",
    edits: [
      {
        file: OVERLAY,
        find: "if (this.plane && this.#openedOn && !sameAddresses(this.#openedOn, underlay)) {",
        replace: "if (this.plane && this.#openedOn && !sameAddresses(underlay, underlay)) {",
      },
    ],
    test: { file: TROUBLE, name: "those that join, change and leave are programmed" },
  },
  {
    fault: "the underlay changes while the node waits for a lease",
    handling: "the data plane is opened anew on it, and the lease is asked for with the new address",
    edits: [
      {
        file: "pkg/agent/agent.ts",
        find: "    if (!own) return this.#overlay.standBy(scope);\n",
        replace: "    if (!own) return undefined;\n",
      },
    ],
    test: { file: TROUBLE, name: "a node that was refused for its address joins with the next that it is given" },
  },
  {
    fault: "the underlay's MTU changes while the node waits for a lease",
    handling: "what a pass could not look at yet is kept for the one that can",
    edits: [
      {
        file: "pkg/agent/reconcile.ts",
        find: "    if (!failures || failures.length > 0) this.#widen(scope);\n",
        replace: "    if (failures && failures.length > 0) this.#widen(scope);\n",
      },
      {
        file: "pkg/agent/agent.ts",
        find: "    if (!own) return this.#overlay.standBy(scope);\n",
        replace: "    if (!own) return undefined;\n",
      },
    ],
    test: { file: TROUBLE, name: "what changes on the host while a node waits for a lease is seen before it is ready" },
  },
  {
    fault: "the disk is full where state is written",
    handling: "told once and in status; the agent goes on",
    edits: [
      {
        file: STATE,
        find: "      const told = this.#problem !== undefined;\n",
        replace: "      const told = this.#problem !== undefined;\n      if (!told) throw error;\n",
      },
    ],
    test: { file: CLOCK, name: "a full disk is told once, costs no packet and no state, and heals" },
  },
  {
    fault: "the disk is full: what was saved before",
    handling: "a temporary file, fsync and rename: the old state stays whole",
    edits: [
      {
        file: "pkg/base/atomic-file.ts",
        find: "  const { fd, name } = openTemporary(path, options.mode);\n",
        replace: '  const [fd, name] = [openSync(path, "w", options.mode), path];\n  void openTemporary;\n',
      },
    ],
    test: { file: CLOCK, name: "a full disk is told once, costs no packet and no state, and heals" },
  },
  {
    fault: "the disk is full where subnet.env is written",
    handling: "no pod is attached until it is written",
    edits: [
      {
        file: "pkg/agent/readiness.ts",
        find: 'return this.close({ state: "not-ready", message: describeError(error) });',
        replace: "void [error, describeError];",
      },
    ],
    test: { file: TROUBLE, name: "a subnet.env that cannot be written takes no new pods, and is tried again" },
  },
  {
    fault: "the clock jumps by hours (injected clock)",
    handling: "what is due is counted on a clock that never jumps",
    edits: [
      {
        file: "pkg/subnet/lease-hold.ts",
        find: "const left = expires === undefined ? ttl * 1000 : expires - clock.now();",
        replace: "const left = expires === undefined ? ttl * 1000 : own.expiresAt - startedAt;",
      },
      {
        file: "pkg/subnet/lease-hold.ts",
        find: "  #untilRenewal(): number {\n",
        replace: "  #untilRenewal(): number {\n    const startedAt = this.#options.clock.now();\n",
      },
    ],
    test: { file: "test/sim/lease-life.test.ts", name: "a jump of the wall clock changes nothing" },
  },
  {
    fault: "the clock jumps by hours (faketime)",
    handling: "the same, in a real agent",
    edits: [{ file: "pkg/base/clock.ts", find: "now: () => performance.now(),", replace: "now: () => Date.now()," }],
    test: { file: CLOCK, name: "a clock that jumps by hours, forwards and then backwards, changes nothing" },
  },
];
