import { Histogram, Registry } from "prom-client";
import type { Measurements, MetricsSource } from "../api/measurements.ts";
import type { PeerProbe } from "../api/probe.ts";
import type { Status } from "../api/status.ts";
import { splitCounters } from "./counter-names.ts";
import { Page, type Row, written } from "./page.ts";
import { PeerPlaces } from "./peer-places.ts";

export interface MetricsParts {
  readonly source: MetricsSource;
  readonly probes: () => readonly PeerProbe[];
  /** Processor time of each packet loop in seconds, which is a look into /proc and no more. */
  readonly loopSeconds: () => readonly number[];
  /** Milliseconds since 1970. */
  readonly wall: () => number;
}

// From one pass on a quiet host to a thousand peers on a busy one; echoes from one switch to once around the earth.
const SYNC_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const RTT_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/**
 * What happens to an agent and leaves no trace in a snapshot. Exists before the agent does, which reports to it; Metrics
 * writes it out.
 */
export class Observations {
  readonly registry = new Registry();
  readonly #sync = new Histogram({
    name: "twill_sync_duration_seconds",
    help: "From what asked for a pass over the host's state to the end of that pass.",
    labelNames: ["result"],
    buckets: SYNC_BUCKETS,
    registers: [this.registry],
  });
  readonly #rtt = new Histogram({
    name: "twill_probe_rtt_seconds",
    help: "Round trips of echoes to peers over the overlay.",
    buckets: RTT_BUCKETS,
    registers: [this.registry],
  });

  /** A pass has ended: milliseconds since it was asked for, and what could not be done. */
  readonly passed = (ms: number, failures: number): void =>
    this.#sync.observe({ result: failures > 0 ? "failed" : "ok" }, ms / 1000);

  /** An echo has come back. */
  readonly heard = (rttMs: number): void => this.#rtt.observe(rttMs / 1000);
}

/** Everything that /metrics says, drawn anew from snapshots at every scrape: neither etcd nor a tool is asked. */
export class Metrics {
  readonly #parts: MetricsParts;
  readonly #observed: Registry;
  readonly #places = new PeerPlaces();

  constructor(parts: MetricsParts, observations: Observations) {
    this.#parts = parts;
    this.#observed = observations.registry;
  }

  get contentType(): string {
    return this.#observed.contentType;
  }

  async text(): Promise<string> {
    const { source, probes, loopSeconds, wall } = this.#parts;
    const page = new Page();
    const status = source.status();
    aboutAgent(page, status, wall());
    aboutMeasurements(page, source.measurements(), loopSeconds());
    aboutDataplane(page, status);
    aboutPeers(page, status, probes(), this.#places);
    return `${await this.#observed.metrics()}\n${page.text}`;
  }
}

function aboutAgent(page: Page, status: Status, wall: number): void {
  const { version, lease, etcd, network } = status;
  page.gauge("twill_build_info", "The version that runs, as a label.", [[{ version }, 1]]);
  page.gauge("twill_ready", "Whether pods may be attached.", [[{}, Number(status.ready)]]);
  page.gauge("twill_lease_held", "Whether this node has a subnet.", [[{}, Number(lease !== undefined)]]);
  if (lease && lease.expiresAt > 0) {
    page.gauge("twill_lease_expiry_timestamp_seconds", "When the subnet's lease runs out unless it is renewed.", [
      [{}, lease.expiresAt / 1000],
    ]);
  }
  page.gauge("twill_etcd_connected", "Whether etcd answers.", [[{}, Number(etcd.connected)]]);
  page.gauge("twill_watch_lag_seconds", "How long the lease table may have been out of date; 0 while etcd answers.", [
    [{}, etcd.connected ? 0 : Math.max(0, wall - etcd.since) / 1000],
  ]);
  if (network) {
    page.gauge("twill_network_info", "The network config in use, as labels.", [
      [{ network: network.networks.join(","), backend: network.backendType }, 1],
    ]);
  }
}

function aboutMeasurements(page: Page, measured: Measurements, loopSeconds: readonly number[]): void {
  page.gauge(
    "twill_problems",
    "What twillctl status has to say, by what it is about.",
    measured.problems.map(({ about, count }) => [{ about }, count]),
  );
  page.counter("twill_etcd_errors_total", "Calls to etcd that failed for want of contact.", [
    [{}, measured.etcdErrors],
  ]);
  page.gauge(
    "twill_network_free_subnets",
    "Subnets of the network that no lease or reservation takes.",
    measured.freeSubnets.map(({ family, free }) => [{ family: `ipv${family}` }, Number(free)]),
  );
  page.counter(
    "twill_packet_loop_cpu_seconds_total",
    "Processor time of a packet loop's thread: its rate is the thread's utilisation.",
    loopSeconds.map((seconds, i) => [{ thread: String(i) }, seconds]),
  );
}

function aboutDataplane(page: Page, { dataplane }: Status): void {
  if (!dataplane) return;
  const { name: plane, rung } = dataplane;
  page.gauge("twill_dataplane_info", "The data plane in use and the rung of its offloads, as labels.", [
    [{ dataplane: plane, rung }, 1],
  ]);
  const [mtu] = dataplane.mtus;
  if (mtu !== undefined)
    page.gauge("twill_overlay_mtu_bytes", "What an inner packet may measure; in dual stack of IPv4.", [[{}, mtu]]);
  const { packets, bytes, drops, events } = splitCounters(dataplane.counters);
  const by = (label: string, rows: ReadonlyMap<string, bigint>): Row[] =>
    [...rows].map(([value, n]) => [{ [label]: value }, Number(n)]);
  page.counter("twill_dataplane_packets_total", "Inner packets carried.", by("direction", packets));
  page.counter("twill_dataplane_bytes_total", "Bytes of inner packets carried.", by("direction", bytes));
  page.counter("twill_dataplane_drops_total", "Packets dropped, by the counter's name.", by("reason", drops));
  page.counter("twill_dataplane_events_total", "What else the packet loop counts, no drops.", by("event", events));
}

const PEER_STATES = ["in-sync", "pending", "failed"] as const;
const PROBE_STATES = ["unknown", "up", "overlay-down", "down"] as const;

function aboutPeers(page: Page, { peers }: Status, probes: readonly PeerProbe[], places: PeerPlaces): void {
  const count = (all: readonly { readonly state: string }[], states: readonly string[]) =>
    states.map((state) => [{ state }, all.filter((each) => each.state === state).length] as const);
  page.gauge("twill_peers", "Peers by what the data plane made of them.", count(peers, PEER_STATES));
  page.gauge("twill_probed_peers", "Peers by whether they answer.", count(probes, PROBE_STATES));

  const shares = places.assign(peers);
  const labels = new Map(shares.map(({ key, subnet, node }) => [key, written({ subnet, node })]));
  const traffic = (pick: "packets" | "bytes", direction: "tx" | "rx"): Row[] =>
    shares.map((share) => [`${labels.get(share.key)},direction="${direction}"`, Number(share[pick][direction])]);
  const both = (pick: "packets" | "bytes") => [...traffic(pick, "tx"), ...traffic(pick, "rx")];
  page.counter("twill_peer_packets_total", "Inner packets carried to and from a peer.", both("packets"));
  page.counter("twill_peer_bytes_total", "Bytes of inner packets carried to and from a peer.", both("bytes"));

  const known = probes.flatMap((probe) => {
    const label = labels.get(probe.key);
    return label ? [{ probe, label }] : [];
  });
  const answered = known.filter(({ probe }) => probe.rttMs > 0);
  page.gauge(
    "twill_peer_rtt_seconds",
    "The last round trip to a peer over the overlay.",
    answered.map(({ probe, label }) => [label, probe.rttMs / 1000]),
  );
  page.gauge(
    "twill_peer_probe_loss_ratio",
    "Part of a peer's last echoes that were lost.",
    known.filter(({ probe }) => probe.sent > 0).map(({ probe, label }) => [label, probe.lost / probe.sent]),
  );
  page.gauge(
    "twill_peer_answers",
    "Whether a peer answers, over the overlay and, where it does not or has no address there, on the underlay.",
    known.flatMap(({ probe, label }) =>
      answersOf(probe).map(([over, yes]) => [`${label},over="${over}"`, Number(yes)] as const),
    ),
  );
  page.gauge(
    "twill_peer_path_mtu_bytes",
    "The largest packet that came through to a peer over the overlay.",
    known.filter(({ probe }) => probe.mtu > 0).map(({ probe, label }) => [label, probe.mtu]),
  );
  page.gauge(
    "twill_peer_tcp_answers",
    "Whether TCP comes through to a peer that answers echoes, with the right checksums.",
    known
      .filter(({ probe }) => probe.tcp !== "unknown")
      .map(({ probe, label }) => [label, Number(probe.tcp === "answers")]),
  );
}

function answersOf({ state, overlay }: PeerProbe): readonly (readonly ["overlay" | "underlay", boolean])[] {
  if (state === "unknown") return [];
  if (overlay === "") return [["underlay", state === "up"]];
  if (state === "up") return [["overlay", true]];
  return [
    ["overlay", false],
    ["underlay", state === "overlay-down"],
  ];
}
