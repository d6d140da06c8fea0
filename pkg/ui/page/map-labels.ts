import type { Way } from "../mesh.ts";
import { keyed, say, set, svg } from "./dom.ts";
import { gravity, MOST_CARDS, type Placed, type Point, round } from "./map-layout.ts";
import { isOnWay, type State } from "./state.ts";
import { milliseconds, perSecond, WAY_WORDS, wayOf } from "./words.ts";

/** Less than this is echoes and the like. */
export const WORTH_TELLING = 10_000;

interface Label {
  readonly key: string;
  readonly at: Point;
  readonly text: string;
  readonly tone: string;
  readonly dim: boolean;
}

/** What is written on the lines: what is broken, else the round trip, and traffic that is worth telling. */
export function labelsOf({ mesh, selection }: State, placed: readonly Placed[]): Label[] {
  const many = placed.length > MOST_CARDS;
  const labels = placed.flatMap((one, i) =>
    placed.slice(i + 1).flatMap((two): (Label & { from: Point; to: Point })[] => {
      const ways = [wayOf(mesh, one.node.id, two.node.id), wayOf(mesh, two.node.id, one.node.id)];
      const chosen = isOnWay(selection, one.node.id, two.node.id);
      const trouble = ways.filter((way) => way !== undefined).toSorted((a, b) => gravity(b) - gravity(a))[0];
      const tone = trouble ? WAY_WORDS[trouble.state].tone : "none";
      if (many && !chosen && (tone === "ok" || tone === "none")) return [];
      const text = labelText(ways.filter((way) => way !== undefined));
      const key = `${one.node.id} ${two.node.id}`;
      const dim = selection !== undefined && !chosen;
      return text === "" ? [] : [{ key, at: one.at, from: one.at, to: two.at, text, tone, dim }];
    }),
  );
  return apart(labels);
}

const PLACES = [0.5, 0.4, 0.6, 0.33, 0.67, 0.27, 0.73];
const ROOM = { x: 62, y: 20 };

// All diameters of a ring meet in its middle: a label takes the first place along its line that is free, those that tell of
// trouble before the others.
function apart(labels: readonly (Label & { from: Point; to: Point })[]): Label[] {
  const taken: Point[] = [];
  const free = ({ x, y }: Point): boolean =>
    taken.every((other) => Math.abs(other.x - x) > ROOM.x || Math.abs(other.y - y) > ROOM.y);
  return labels
    .toSorted((a, b) => Number(b.tone === "bad") - Number(a.tone === "bad"))
    .map(({ from, to, ...label }) => {
      const points = PLACES.map((part) => ({ x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part }));
      const at = points.find(free) ?? from;
      taken.push(at);
      return { ...label, at };
    })
    .toReversed();
}

function labelText(ways: readonly Way[]): string {
  const cut = ways.find(({ state }) => state === "broken" || state === "down" || state === "unanswered");
  const rtts = ways.flatMap(({ echo }) => (echo && echo.state === "up" && echo.rttMs > 0 ? [echo.rttMs] : []));
  const traffic = ways.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0);
  const parts = cut ? [WAY_WORDS[cut.state].word] : rtts.length > 0 ? [milliseconds(Math.min(...rtts))] : [];
  if (traffic >= WORTH_TELLING) parts.push(perSecond(traffic));
  return parts.join(" · ");
}

export function drawLabels(parent: Element, labels: readonly Label[]): void {
  keyed(parent, labels, {
    key: ({ key }) => key,
    make: () => svg("g", {}, svg("rect", { rx: 8, height: 17, y: -8.5 }), svg("text", { y: 4 })),
    update: (group, { at, text, tone, dim }) => {
      const [rect, words] = [...group.children] as [Element, Element];
      const width = text.length * 6.1 + 12;
      set(group, { class: `label ${tone}${dim ? " dim" : ""}`, transform: `translate(${round(at.x)} ${round(at.y)})` });
      set(rect, { width: round(width), x: round(-width / 2) });
      say(words, text);
    },
  });
}
