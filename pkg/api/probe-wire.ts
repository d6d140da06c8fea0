import { twill } from "../../proto/gen/agent.js";
import type { AddressProbe, PeerProbe, Probed } from "./probe.ts";
import { number } from "./wire.ts";

type WireProbe = twill.v1.PeerProbe.$Properties;

const STATES = {
  unknown: twill.v1.ProbeState.PROBE_STATE_UNSPECIFIED,
  up: twill.v1.ProbeState.PROBE_STATE_UP,
  "overlay-down": twill.v1.ProbeState.PROBE_STATE_OVERLAY_DOWN,
  down: twill.v1.ProbeState.PROBE_STATE_DOWN,
} as const;

const TCP = {
  unknown: twill.v1.ProbeTcp.PROBE_TCP_UNSPECIFIED,
  answers: twill.v1.ProbeTcp.PROBE_TCP_ANSWERS,
  silent: twill.v1.ProbeTcp.PROBE_TCP_SILENT,
} as const;

const INBOUND = {
  unknown: twill.v1.ProbeInbound.PROBE_INBOUND_UNSPECIFIED,
  arrives: twill.v1.ProbeInbound.PROBE_INBOUND_ARRIVES,
  silent: twill.v1.ProbeInbound.PROBE_INBOUND_SILENT,
} as const;

export function encodeProbe(probe: PeerProbe): WireProbe {
  return { ...probe, state: STATES[probe.state], tcp: TCP[probe.tcp], inbound: INBOUND[probe.inbound] };
}

export function decodeProbe(wire: WireProbe): PeerProbe {
  return {
    key: wire.key ?? "",
    overlay: wire.overlay ?? "",
    underlay: wire.underlay ?? "",
    state: (["up", "overlay-down", "down"] as const).find((state) => STATES[state] === wire.state) ?? "unknown",
    since: number(wire.since),
    rttMs: wire.rttMs ?? 0,
    sent: wire.sent ?? 0,
    lost: wire.lost ?? 0,
    lastSeen: number(wire.lastSeen),
    // An older agent tells of the overlay alone.
    lastAnswer: number(wire.lastAnswer) || number(wire.lastSeen),
    mtu: wire.mtu ?? 0,
    wantedMtu: wire.wantedMtu ?? 0,
    tcp: (["answers", "silent"] as const).find((tcp) => TCP[tcp] === wire.tcp) ?? "unknown",
    inbound: (["arrives", "silent"] as const).find((inbound) => INBOUND[inbound] === wire.inbound) ?? "unknown",
  };
}

export function encodeProbed({ peers, address }: Probed): twill.v1.ProbeResponse.$Properties {
  return { probes: peers.map(encodeProbe), address: address ? { ...address } : null };
}

export function decodeProbed(wire: twill.v1.ProbeResponse.$Properties): Probed {
  return {
    peers: (wire.probes ?? []).map(decodeProbe),
    address: wire.address ? decodeAddress(wire.address) : undefined,
  };
}

function decodeAddress(wire: twill.v1.AddressProbe.$Properties): AddressProbe {
  return {
    address: wire.address ?? "",
    sent: wire.sent ?? 0,
    lost: wire.lost ?? 0,
    rttMs: wire.rttMs ?? 0,
    mtu: wire.mtu ?? 0,
  };
}
