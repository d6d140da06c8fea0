import { expect, test } from "vitest";
import { judge } from "./judge.ts";
import { echoOf, peerOf, WALL } from "./sample.ts";

const up = echoOf("b");
const cut = echoOf("b", { state: "overlay-down", since: WALL });
const gone = echoOf("b", { state: "down", since: WALL });
const NOBODY = { echo: undefined, peer: undefined, arrives: undefined };

const cases = [
  { name: "nobody was asked", own: {}, other: {}, is: ["unknown", ""] },
  { name: "an echo comes back", own: { echo: up }, other: {}, is: ["up", ""] },
  { name: "the other one's echo comes back: it went this way too", own: {}, other: { echo: up }, is: ["up", ""] },
  { name: "not measured yet", own: { echo: echoOf("b", { state: "unknown" }) }, other: {}, is: ["unknown", ""] },
  {
    name: "counters say that it does not arrive",
    own: { echo: cut, arrives: false },
    other: { echo: cut, arrives: true },
    is: ["broken", "nothing that is sent arrives"],
  },
  {
    name: "and that the way back works",
    own: { echo: cut, arrives: true },
    other: { echo: cut, arrives: false },
    is: ["up", ""],
  },
  {
    name: "one agent alone: what comes from there shows that it is the way there",
    own: { echo: cut },
    other: { arrives: true },
    is: ["broken", "echoes get no answer, though packets come from there"],
  },
  {
    name: "nothing tells which way",
    own: { echo: cut },
    other: { echo: cut },
    is: ["unanswered", "echoes get no answer"],
  },
  {
    name: "both ways carry packets, but no echoes",
    own: { echo: cut, arrives: true },
    other: { echo: cut, arrives: true },
    is: ["unanswered", "echoes get no answer, though packets arrive on both sides"],
  },
  {
    name: "the node is gone",
    own: { echo: gone, arrives: false },
    other: {},
    is: ["down", "no answer, neither over the overlay nor on the underlay"],
  },
  {
    name: "it cannot be programmed",
    own: { peer: peerOf("b", { state: "failed", reason: "the lease has no VtepMAC" }) },
    other: {},
    is: ["broken", "the lease has no VtepMAC"],
  },
  { name: "two lost echoes are no news", own: { echo: echoOf("b", { lost: 2 }) }, other: {}, is: ["up", ""] },
  {
    name: "three are, and all that is wrong is told",
    own: { echo: echoOf("b", { lost: 3, mtu: 1350, tcp: "silent" }) },
    other: {},
    is: [
      "degraded",
      "3 of the last 20 echoes lost; packets of up to 1350 bytes pass, not 1450; echoes pass, TCP does not: checksums or a firewall",
    ],
  },
] as const;

for (const { name, own, other, is } of cases) {
  test(name, () => {
    const { state, why } = judge({ ...NOBODY, ...own }, { ...NOBODY, ...other });
    expect([state, why]).toEqual(is);
  });
}

test("since when: the later of the two ends found out last", () => {
  const earlier = echoOf("b", { state: "overlay-down", since: WALL - 4000 });
  expect(judge({ ...NOBODY, echo: earlier }, { ...NOBODY, echo: cut }).since).toBe(WALL);
});
