import type { Mesh, Way } from "../mesh.ts";
import { find, focusOnly, html, keyed, say, set, svg } from "./dom.ts";
import { drawLabels, labelsOf, WORTH_TELLING } from "./map-labels.ts";
import {
  type Box,
  edge,
  gravity,
  MOST_CARDS,
  NARROW,
  place,
  type Placed,
  type Point,
  round,
  WIDE,
} from "./map-layout.ts";
import { isOnWay, type Select, type State, touches, type View } from "./state.ts";
import { nameOf, NODE_WORDS, nodeWords, perSecond, WAY_WORDS } from "./words.ts";

/** Between the two directions of a pair. */
const LANE = 3.5;

interface Lane {
  readonly way: Way;
  readonly from: Point;
  readonly to: Point;
  readonly dim: boolean;
  /** Told where the mouse rests on it. */
  readonly words: string;
}

/** The nodes on a ring, the two directions between each pair as two lanes: as thick as their traffic, coloured by state. */
export function makeMap(select: Select): View {
  const root = find("#map");
  const canvas = find("svg", root);
  const [lanes, labels, nodes] = [svg("g"), svg("g"), svg("g")];
  canvas.append(lanes, labels, nodes);
  find(".legend", root).append(...legend());
  nodes.addEventListener("keydown", (event) => moveAround(event, nodes));
  const narrow = matchMedia("(max-width: 700px)");
  return (state) => {
    const { mesh } = state;
    const sheet = narrow.matches ? NARROW : WIDE;
    const box = mesh.charted.length > MOST_CARDS ? sheet.small : sheet.card;
    const placed = place(mesh, sheet, box);
    set(canvas, { viewBox: `0 0 ${sheet.width} ${sheet.height}`, class: box.full ? "" : "many" });
    say(find(".note", root), noteOf(mesh));
    drawLanes(lanes, lanesOf(state, placed, box), select);
    drawLabels(labels, labelsOf(state, placed));
    drawNodes(nodes, placed, state, box, select);
  };
}

function noteOf({ charted, nodes }: Mesh): string {
  if (charted.length < nodes.length)
    return `${charted.length} of ${nodes.length} nodes: those asked, those in trouble, the busiest.`;
  return "Each line is one direction; the number is the round trip in milliseconds.";
}

function legend(): Node[] {
  const kinds = [
    ["up", "works"],
    ["degraded", "degraded"],
    ["broken", "broken: ✕ where it does not arrive"],
    ["unknown", "not known: no agent asked"],
  ] as const;
  const sample = (state: string): Node =>
    svg(
      "svg",
      { viewBox: "0 0 28 8", "aria-hidden": "true" },
      svg("line", { x1: 1, y1: 4, x2: 27, y2: 4, class: `lane ${state}`, "stroke-width": 2.5 }),
    );
  return [
    ...kinds.map(([state, words]) => html("li", {}, sample(state), words)),
    html("li", {}, "thicker: more traffic"),
  ];
}

function lanesOf({ mesh, selection }: State, placed: readonly Placed[], box: Box): Lane[] {
  const places = new Map(placed.map(({ node, at }) => [node.id, at]));
  return mesh.ways
    .flatMap((way): Lane[] => {
      const [from, to] = [places.get(way.from), places.get(way.to)];
      if (!from || !to) return [];
      const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
      const aside = { x: (-(to.y - from.y) / length) * LANE, y: ((to.x - from.x) / length) * LANE };
      const shift = (point: Point): Point => ({ x: point.x + aside.x, y: point.y + aside.y });
      const dim = selection !== undefined && !isOnWay(selection, way.from, way.to);
      const { word } = WAY_WORDS[way.state];
      const parts = [word, way.why, way.counted ? perSecond(way.bytesPerSecond) : "traffic not counted"];
      const words = `${nameOf(mesh, way.from)} → ${nameOf(mesh, way.to)}: ${parts.filter((part) => part !== "").join(", ")}`;
      return [{ way, from: edge(shift(from), shift(to), box), to: edge(shift(to), shift(from), box), dim, words }];
    })
    .toSorted((a, b) => gravity(a.way) - gravity(b.way));
}

function thickness(bytesPerSecond: number): number {
  const decades = Math.log10(Math.max(1, bytesPerSecond / 1000));
  return Math.round((1.6 + 0.9 * Math.min(6, decades)) * 10) / 10;
}

function drawLanes(parent: Element, lanes: readonly Lane[], select: Select): void {
  keyed(parent, lanes, {
    key: ({ way }) => `${way.from} ${way.to}`,
    make: ({ way: { from, to } }) => {
      const group = svg("g", { class: "way" }, svg("line", { class: "grip" }), svg("line"), svg("path"), svg("title"));
      group.addEventListener("click", () => select({ kind: "pair", from, to }));
      return group;
    },
    update: (group, { way, from, to, dim, words }) => {
      const ends = { x1: round(from.x), y1: round(from.y), x2: round(to.x), y2: round(to.y) };
      const [grip, line, mark, title] = [...group.children] as [Element, Element, Element, Element];
      set(group, {
        class: `way${dim ? " dim" : ""}${way.bytesPerSecond >= WORTH_TELLING ? " busy" : ""}`,
        "data-from": way.from,
        "data-to": way.to,
        "data-state": way.state,
      });
      set(grip, ends);
      set(line, { ...ends, class: `lane ${way.state}`, "stroke-width": thickness(way.bytesPerSecond) });
      set(mark, { class: `mark ${way.state}`, d: markAt(way, from, to) });
      say(title, words);
    },
  });
}

// A cross where nothing arrives, an arrow head elsewhere.
function markAt({ state }: Way, from: Point, to: Point): string {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const [ux, uy] = [(to.x - from.x) / length, (to.y - from.y) / length];
  const at = (along: number, across: number): string =>
    `${round(to.x - ux * along - uy * across)} ${round(to.y - uy * along + ux * across)}`;
  if (state === "broken" || state === "down" || state === "unanswered")
    return `M${at(4, -5.5)}L${at(15, 5.5)}M${at(4, 5.5)}L${at(15, -5.5)}`;
  return state === "unknown" ? "" : `M${at(0, 0)}L${at(8, 3.6)}L${at(8, -3.6)}Z`;
}

type Parts = [title: Element, rect: Element, name: Element, subnet: Element, plane: Element, sign: Element];

function drawNodes(
  parent: Element,
  placed: readonly Placed[],
  { mesh, selection }: State,
  box: Box,
  select: Select,
): void {
  keyed(parent, placed, {
    key: ({ node }) => node.id,
    make: ({ node: { id } }) => {
      const texts = ["name", "subnet", "plane", "sign"].map((name) =>
        svg("text", { class: name, "aria-hidden": "true" }),
      );
      const group = svg("g", { role: "button", tabindex: -1 }, svg("title"), svg("rect", { rx: 8 }), ...texts);
      group.addEventListener("click", () => select({ kind: "node", id }));
      group.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        select({ kind: "node", id });
      });
      return group;
    },
    update: (group, { node, at }) => {
      const words = NODE_WORDS[node.state];
      const chosen = selection?.kind === "node" && selection.id === node.id;
      const { width, height, letters, full } = box;
      const [title, rect, name, subnet, plane, sign] = [...group.children] as Element[] as Parts;
      const [left, first] = [-width / 2 + 10, full ? -height / 2 + 20 : 4];
      set(group, {
        class: `node ${words.tone}${selection && !touches(selection, node.id) ? " aside" : ""}`,
        transform: `translate(${round(at.x)} ${round(at.y)})`,
        "data-id": node.id,
        "aria-pressed": chosen ? "true" : "false",
      });
      say(title, `${node.name}, ${nodeWords(node, mesh.at)}, ${node.subnets.join(" ")}, ${waysInWords(mesh, node.id)}`);
      set(rect, { x: -width / 2, y: -height / 2, width, height });
      set(name, { x: left + 15, y: first });
      say(name, shorten(node.name, letters));
      set(subnet, { x: left, y: first + 18 });
      say(subnet, full ? shorten(node.subnets[0] ?? "no lease", letters + 6) : "");
      set(plane, { x: width / 2 - 9, y: first });
      say(plane, full ? shorten(node.plane, 7) : "");
      set(sign, { x: left, y: first });
      say(sign, words.sign);
    },
  });
  const elements = [...parent.children];
  if (!elements.some((element) => element.getAttribute("tabindex") === "0")) focusOnly(elements, elements[0]);
}

function waysInWords(mesh: Mesh, id: string): string {
  const wrong = mesh.ways.filter(
    ({ from, to, state }) => (from === id || to === id) && state !== "up" && state !== "unknown",
  );
  if (wrong.length === 0) return "all its ways work";
  const names = new Map(mesh.nodes.map((node) => [node.id, node.name]));
  return wrong
    .map(({ from, to, state }) =>
      from === id ? `to ${names.get(to)} ${WAY_WORDS[state].word}` : `from ${names.get(from)} ${WAY_WORDS[state].word}`,
    )
    .join(", ");
}

function moveAround(event: KeyboardEvent, nodes: Element): void {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const elements = [...nodes.children] as SVGElement[];
  const i = elements.indexOf(event.target as SVGElement);
  if (i < 0) return;
  const ends: Readonly<Record<string, number>> = { Home: 0, End: elements.length - 1 };
  const next = step === undefined ? ends[event.key] : (i + step + elements.length) % elements.length;
  const chosen = next === undefined ? undefined : elements[next];
  if (!chosen) return;
  event.preventDefault();
  focusOnly(elements, chosen);
  chosen.focus();
}

function shorten(text: string, length: number): string {
  const letters = Array.from(text);
  return letters.length <= length ? text : `${letters.slice(0, length - 1).join("")}…`;
}
