import { span } from "../base/amounts.ts";
import { printable } from "../base/printable.ts";
import type { AskedAgent, Mesh, MeshNode, Trouble, Way } from "./mesh.ts";

type Name = (id: string) => string;

/** What is wrong in the mesh, a sentence each, the gravest first. */
export function findTroubles({ agents, nodes, ways, at }: Pick<Mesh, "agents" | "nodes" | "ways" | "at">): Trouble[] {
  const names = new Map(nodes.map(({ id, name }) => [id, name]));
  const name: Name = (id) => names.get(id) ?? id;
  const down = new Set(nodes.filter(({ state }) => state === "down").map(({ id }) => id));
  return [
    ...agents.filter(({ answers }) => !answers).map((agent) => ofAgent(agent, name)),
    ...nodes.flatMap((node) => ofNode(node, at)),
    // A node that is gone is told once, not for every way to it.
    ...ofWays(
      ways.filter(({ from, to }) => !down.has(from) && !down.has(to)),
      name,
    ),
  ].toSorted((a, b) => Number(b.severity === "error") - Number(a.severity === "error"));
}

function ofAgent({ socket, node, since, error }: AskedAgent, name: Name): Trouble {
  const who = node === "" ? `The agent at ${printable(socket)}` : `The agent of ${name(node)}`;
  const text = `${who} does not answer: ${error}`;
  return { severity: "error", text, since, nodes: node === "" ? [] : [node] };
}

function ofNode({ id, name, state, since, self }: MeshNode, at: number): Trouble[] {
  const trouble = (severity: Trouble["severity"], text: string, since = 0): Trouble => ({
    severity,
    text,
    since,
    nodes: [id],
  });
  if (state === "down")
    return [trouble("error", `${name} answers neither over the overlay nor on the underlay`, since)];
  if (!self || state === "silent") return [];
  const unready = state === "not-ready";
  const { problems, leaseExpiresAt } = self;
  return [
    ...problems.map((problem) => trouble(unready ? "error" : "warning", `${name}: ${problem}`)),
    ...(unready && problems.length === 0 ? [trouble("error", `${name} is not ready for pods`)] : []),
    ...(leaseExpiresAt > 0 && leaseExpiresAt < at
      ? [trouble("error", `The lease of ${name} ran out ${span(at - leaseExpiresAt)} ago`, leaseExpiresAt)]
      : []),
  ];
}

function ofWays(ways: readonly Way[], name: Name): Trouble[] {
  const byEnds = new Map(ways.map((way) => [`${way.from} ${way.to}`, way]));
  return ways.flatMap(({ from, to, state, why, since }): Trouble[] => {
    if (state === "up" || state === "unknown") return [];
    const back = byEnds.get(`${to} ${from}`);
    const both = back?.state === state && back.why === why;
    if (both && from > to) return [];
    const text = `${name(from)} ${both ? "↔" : "→"} ${name(to)}: ${why}`;
    return [{ severity: state === "degraded" ? "warning" : "error", text, since, nodes: [from, to] }];
  });
}
