import { expect, test } from "vitest";
import { MeshMaker } from "./make-mesh.ts";
import type { Mesh } from "./mesh.ts";
import { echoOf, keyOf, leaseOf, peerOf, seen, statusOf, WALL } from "./sample.ts";

const make = (...views: Parameters<typeof seen>[]): Omit<Mesh, "events"> =>
  new MeshMaker().make(
    views.map((view) => seen(...view)),
    1000,
    WALL,
  );
const way = ({ ways }: Pick<Mesh, "ways">, from: string, to: string): Mesh["ways"][number] | undefined =>
  ways.find((each) => each.from === keyOf(from) && each.to === keyOf(to));

test("one agent knows its own row, and nothing of what is between the others", () => {
  const mesh = make([
    "a",
    statusOf("a", [peerOf("b"), peerOf("c")]),
    [echoOf("b"), echoOf("c", { state: "down", since: WALL - 9 })],
  ]);
  expect(mesh.network).toBe("10.5.0.0/16, vxlan, VNI 1, port 8472");
  expect(mesh.nodes.map(({ name, state }) => [name, state])).toEqual([
    ["a", "ready"],
    ["b", "answers"],
    ["c", "down"],
  ]);
  expect(mesh.nodes[1]?.self).toBeNull();
  expect(way(mesh, "a", "b")?.echo?.rttMs).toBe(0.5);
  expect(way(mesh, "b", "a")?.echo).toBeNull();
  expect(way(mesh, "b", "c")).toBeUndefined();
  // One sentence for a node that is gone, not one for each way there.
  expect(mesh.troubles).toEqual([
    {
      severity: "error",
      text: "c answers neither over the overlay nor on the underlay",
      since: WALL - 9,
      nodes: [keyOf("c")],
    },
  ]);
});

test("traffic is per second, from the sender's counters, or where it was not asked from the receiver's", () => {
  const [now, then] = [1000n, 400n].map((count) =>
    statusOf("a", [peerOf("b", { txBytes: count, txPackets: count, rxBytes: 2n * count, rxPackets: count })]),
  );
  if (!now || !then) return expect.fail();
  const mesh = make(["a", now, [echoOf("b")], then]);
  expect(way(mesh, "a", "b")).toMatchObject({ counted: true, bytesPerSecond: 600, packetsPerSecond: 600, bytes: 1000 });
  expect(way(mesh, "b", "a")).toMatchObject({ counted: true, bytesPerSecond: 1200, bytes: 2000 });
  expect(mesh.nodes.map(({ txBytesPerSecond: tx, rxBytesPerSecond: rx }) => [tx, rx])).toEqual([
    [600, 1200],
    [1200, 600],
  ]);
});

test("the kernel's plane does not count its peers, which is not the same as no traffic", () => {
  const kernel = { name: "kernel", rung: "", mtus: [1450], counters: {} };
  const mesh = make(["a", statusOf("a", [peerOf("b")], { dataplane: kernel }), [echoOf("b")]]);
  expect(way(mesh, "a", "b")?.counted).toBe(false);
});

test("drops are those counters that are drops, the most first", () => {
  const counters = (spoofed: bigint): Record<string, bigint> => ({
    rx_packets: 5n,
    loop_turns: 77n,
    rx_bad_vni: 3n,
    rx_short: 0n,
    rx_spoofed_source: spoofed,
  });
  const plane = { name: "tun", rung: "gso", mtus: [1450] };
  const at = (spoofed: bigint): ReturnType<typeof statusOf> =>
    statusOf("a", [], { dataplane: { ...plane, counters: counters(spoofed) } });
  expect(make(["a", at(50n), [], at(40n)]).nodes[0]?.self?.drops).toEqual([
    { reason: "rx_spoofed_source", count: 50, perSecond: 10 },
    { reason: "rx_bad_vni", count: 3, perSecond: 0 },
  ]);
});

test("which of two ways is broken, by the counters at both ends", () => {
  const maker = new MeshMaker();
  const cut = { state: "overlay-down", since: WALL - 1000 } as const;
  const look = (sent: bigint, now: number): Omit<Mesh, "events"> =>
    maker.make(
      [
        seen("a", statusOf("a", [peerOf("b", { txPackets: sent, rxPackets: sent })]), [echoOf("b", cut)]),
        seen("b", statusOf("b", [peerOf("a", { txPackets: sent, rxPackets: 5n })]), [echoOf("a", cut)]),
      ],
      now,
      WALL,
    );
  look(10n, 0);
  const mesh = look(14n, 1000);
  expect([way(mesh, "a", "b")?.state, way(mesh, "b", "a")?.state]).toEqual(["broken", "up"]);
  expect(mesh.troubles.map(({ text }) => text)).toEqual(["a → b: nothing that is sent arrives"]);
});

test("an agent that has fallen silent: since when and why; what only it knew is left out", () => {
  const silent = {
    ...seen("a", statusOf("a", [peerOf("b"), peerOf("c")]), [echoOf("b")]),
    answers: false,
    since: WALL - 12_000,
    error: "nobody listens\u202e",
  };
  const b = seen("b", statusOf("b", [peerOf("a")]), [echoOf("a")]);
  const mesh = new MeshMaker().make([silent, b], 1000, WALL);
  expect(mesh.nodes.map(({ name, state, since }) => [name, state, since])).toEqual([
    ["a", "silent", WALL - 12_000],
    ["b", "ready", WALL - 600_000],
  ]);
  expect(way(mesh, "a", "b")?.echo).toBeNull();
  expect(way(mesh, "b", "a")?.echo?.state).toBe("up");
  expect(mesh.troubles[0]).toMatchObject({
    text: "The agent of a does not answer: nobody listens?",
    since: WALL - 12_000,
  });
});

test("names of other nodes lose their control characters", () => {
  const lease = leaseOf("b", { nodeName: "\u202eb\u0007" });
  const mesh = make(["a", statusOf("a", [peerOf("b", { lease })]), []]);
  expect(mesh.nodes.map(({ name }) => name)).toEqual(["?b?", "a"]);
});

test("of a large mesh a part is charted: our own node and those in trouble first", () => {
  const others = Array.from({ length: 60 }, (_, i) => ({
    ...leaseOf("b"),
    key: `10.6.${i}.0-24`,
    nodeName: `n${i}`,
  }));
  const peers = others.map((lease) => peerOf("b", { lease }));
  const probes = others.map(({ key }, i) => ({
    ...echoOf("b"),
    key,
    state: i === 59 ? ("down" as const) : ("up" as const),
  }));
  const { nodes, charted, ways } = make(["a", statusOf("a", peers), probes]);
  expect([nodes.length, charted.length]).toEqual([61, 24]);
  expect(charted).toContain(keyOf("a"));
  expect(charted).toContain("10.6.59.0-24");
  expect(ways.length).toBe(46);
});
