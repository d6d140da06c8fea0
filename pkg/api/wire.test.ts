import fc from "fast-check";
import { expect, test } from "vitest";
import { twill } from "../../proto/gen/agent.js";
import type { LeaseStatus, Status } from "./status.ts";
import { decodeProbe } from "./probe-wire.ts";
import { decodeLease, decodeStatus, encodeLease, encodeStatus } from "./wire.ts";

function overTheWire(status: Status): Status {
  const bytes = twill.v1.StatusResponse.encode({ status: encodeStatus(status) }).finish();
  return decodeStatus(twill.v1.StatusResponse.decode(bytes).status ?? {});
}

const count = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const time = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const texts = fc.array(fc.string(), { maxLength: 3 });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

const lease = fc.record<LeaseStatus>({
  key: fc.string(),
  subnets: texts,
  publicIps: texts,
  backendType: fc.string(),
  dataplane: fc.string(),
  nodeId: fc.string(),
  nodeName: fc.string(),
  leaseId: fc.string(),
  expiresAt: time,
  own: fc.boolean(),
  vtepMacs: fc.array(fc.string(), { minLength: 1, maxLength: 2 }),
});

const maybe = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(values, { nil: undefined });

const status = fc.record<Status>({
  version: fc.string(),
  node: fc.record({ id: fc.string(), name: fc.string() }),
  startedAt: time,
  ready: fc.boolean(),
  problems: texts,
  network: maybe(
    fc.record({
      networks: texts,
      backendType: fc.string(),
      vni: uint32,
      port: uint32,
      freeSubnets: fc.array(count, { minLength: 1, maxLength: 2 }),
    }),
  ),
  underlay: maybe(fc.record({ interface: fc.string(), mtu: uint32, publicIps: texts })),
  lease: maybe(lease),
  dataplane: maybe(
    fc.record({
      name: fc.string(),
      rung: fc.string(),
      mtus: fc.array(uint32, { maxLength: 2 }),
      counters: fc.dictionary(fc.stringMatching(/^[a-z_]{1,12}$/), count, { noNullPrototype: true }),
    }),
  ),
  etcd: fc.record({ endpoints: texts, connected: fc.boolean(), error: fc.string(), since: time }),
  peers: fc.array(
    fc.record({
      lease,
      state: fc.constantFrom("in-sync", "pending", "failed"),
      reason: fc.string(),
      txPackets: count,
      txBytes: count,
      rxPackets: count,
      rxBytes: count,
    }),
    { maxLength: 3 },
  ),
});

test("every status survives the wire", () => {
  fc.assert(
    fc.property(status, (value) => {
      expect(overTheWire(value)).toEqual(value);
    }),
  );
});

test("every lease survives the wire", () => {
  fc.assert(
    fc.property(lease, (value) => {
      const bytes = twill.v1.Lease.encode(encodeLease(value)).finish();
      expect(decodeLease(twill.v1.Lease.decode(bytes))).toEqual(value);
    }),
  );
});

// Protocol Buffers, "Encoding": field 3 as a map entry {1: "rx", 2: varint of 64 ones}.
test("a counter of 64 bits is ten bytes of varint", () => {
  const bytes = twill.v1.Dataplane.encode({ counters: { rx: { low: -1, high: -1 } as never } }).finish();
  expect(Buffer.from(bytes).toString("hex")).toBe("1a0f0a02727810ffffffffffffffffff01");
});

test("an empty message of an old agent is an empty status", () => {
  expect(decodeStatus(twill.v1.Status.decode(new Uint8Array()))).toEqual({
    version: "",
    node: { id: "", name: "" },
    startedAt: 0,
    ready: false,
    problems: [],
    network: undefined,
    underlay: undefined,
    lease: undefined,
    dataplane: undefined,
    etcd: { endpoints: [], connected: false, error: "", since: 0 },
    peers: [],
  });
});

test("what a newer agent adds is ignored, and its new peer state is not in sync", () => {
  // Peer: field 2 (state) = 9, field 100 = "x".
  const peer = Uint8Array.of(0x10, 9, 0xa2, 0x06, 1, 0x78);
  const message = Uint8Array.of(0x5a, peer.length, ...peer);
  const decoded = decodeStatus(twill.v1.Status.decode(message));
  expect(decoded.peers).toHaveLength(1);
  expect(decoded.peers[0]).toMatchObject({
    state: "pending",
    reason: "the agent tells a state (9) that is not known here",
  });
});

test("of an agent that is older a peer has answered when its overlay did", () => {
  expect([decodeProbe({ lastSeen: 7 }), decodeProbe({ lastAnswer: 9 }), decodeProbe({})]).toMatchObject([
    { lastSeen: 7, lastAnswer: 7 },
    { lastSeen: 0, lastAnswer: 9 },
    { lastSeen: 0, lastAnswer: 0 },
  ]);
});
