import type { PeerProbe } from "../api/probe.ts";
import type { PeerStatus } from "../api/status.ts";
import type { WayState } from "./mesh.ts";

/** What is known of the two directions between a node and another, from the side of the first. */
export interface Evidence {
  /** What the sending node's agent measured; undefined where nobody asked it. */
  readonly echo: PeerProbe | undefined;
  /** How its data plane stands to the other node. */
  readonly peer: PeerStatus | undefined;
  /** Whether what it sends arrives, by the counters (arrivals.ts). */
  readonly arrives: boolean | undefined;
}

export interface Verdict {
  readonly state: WayState;
  readonly why: string;
  /** 0 where it is not known. */
  readonly since: number;
}

// One lost echo is no news, nor are two: the machine was busy.
const NEWS = 3;

/** What to think of the way from `own` to `other`, with what both ends know. */
export function judge(own: Evidence, other: Evidence): Verdict {
  const { echo, peer } = own;
  const failing = [echo, other.echo].filter((each) => each !== undefined && fails(each));
  const since = Math.max(0, ...failing.map((each) => each?.since ?? 0));
  if (peer && peer.state === "failed") return { state: "broken", why: peer.reason || "not programmed", since };
  if (failing.length > 0) return { ...whereItFails(own, other), since };
  // An echo that comes back has gone both ways.
  const heard = echo ?? other.echo;
  if (!heard || heard.state === "unknown") return { state: "unknown", why: "", since: 0 };
  if (!echo) return { state: "up", why: "", since: heard.since };
  const flaws = [
    ...(peer?.state === "pending" ? ["not programmed yet"] : []),
    ...(echo.lost >= NEWS ? [`${echo.lost} of the last ${echo.sent} echoes lost`] : []),
    ...(echo.mtu > 0 && echo.mtu < echo.wantedMtu
      ? [`packets of up to ${echo.mtu} bytes pass, not ${echo.wantedMtu}`]
      : []),
    ...(echo.tcp === "silent" ? ["echoes pass, TCP does not: checksums or a firewall"] : []),
  ];
  return flaws.length > 0
    ? { state: "degraded", why: flaws.join("; "), since: 0 }
    : { state: "up", why: "", since: echo.since };
}

function fails({ state }: PeerProbe): boolean {
  return state === "down" || state === "overlay-down";
}

// An echo goes there and back: where one way is known to work, it is the other that loses it.
function whereItFails(own: Evidence, other: Evidence): Omit<Verdict, "since"> {
  if (own.echo?.state === "down" || (!own.echo && other.echo?.state === "down"))
    return { state: "down", why: "no answer, neither over the overlay nor on the underlay" };
  if (own.arrives === false) return { state: "broken", why: "nothing that is sent arrives" };
  if (own.arrives === undefined && other.arrives === true)
    return { state: "broken", why: "echoes get no answer, though packets come from there" };
  if (own.arrives === true && other.arrives !== true) return { state: "up", why: "" };
  if (own.arrives === undefined && other.arrives === false) return { state: "unknown", why: "" };
  const all = own.arrives === true && other.arrives === true;
  return { state: "unanswered", why: `echoes get no answer${all ? ", though packets arrive on both sides" : ""}` };
}
