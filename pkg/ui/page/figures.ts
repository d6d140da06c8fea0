import type { Mesh } from "../mesh.ts";
import { find, html, keyed, say, set } from "./dom.ts";
import type { View } from "./state.ts";
import { milliseconds, NODE_WORDS, perSecond, WAY_WORDS } from "./words.ts";

interface Figure {
  readonly name: string;
  readonly value: string;
  readonly note: string;
  readonly tone: "ok" | "warn" | "bad" | "none";
}

/** The mesh in five numbers. */
export function makeFigures(): View {
  const list = find("#figures");
  return ({ mesh }) =>
    keyed(list, figuresOf(mesh), {
      key: ({ name }) => name,
      make: ({ name }) => html("div", {}, html("dt", {}, name), html("dd"), html("dd", { class: "note" })),
      update: (item, { value, note, tone }) => {
        const [, big, small] = [...item.children] as [Element, Element, Element];
        set(item, { class: tone });
        say(big, value);
        say(small, note);
      },
    });
}

function figuresOf(mesh: Mesh): Figure[] {
  const { nodes, ways, agents } = mesh;
  const bad = nodes.filter(({ state }) => NODE_WORDS[state].tone === "bad").length;
  const asked = agents.filter(({ answers }) => answers).length;
  const measured = ways.filter(({ state }) => state !== "unknown");
  const broken = measured.filter(({ state }) => WAY_WORDS[state].tone === "bad").length;
  const degraded = measured.filter(({ state }) => state === "degraded").length;
  const rtts = ways
    .flatMap(({ echo }) => (echo?.state === "up" && echo.rttMs > 0 ? [echo.rttMs] : []))
    .sort((a, b) => a - b);
  const middle = rtts[Math.floor(rtts.length / 2)];
  const echoes = ways.flatMap(({ echo }) => (echo ? [echo] : []));
  const [sent, lost] = [sum(echoes.map((echo) => echo.sent)), sum(echoes.map((echo) => echo.lost))];
  const drops = nodes.flatMap(({ self }) => self?.drops ?? []);
  const dropping = sum(drops.map(({ perSecond }) => perSecond));
  return [
    {
      name: "Nodes",
      value: String(nodes.length),
      note: `${bad > 0 ? `${bad} in trouble` : "none in trouble"}, ${asked} asked`,
      tone: bad > 0 ? "bad" : "ok",
    },
    {
      name: "Ways",
      value:
        broken + degraded === 0
          ? String(measured.length)
          : `${measured.length - broken - degraded} of ${measured.length}`,
      note:
        broken + degraded === 0
          ? "all work"
          : ["work", broken > 0 ? `${broken} broken` : "", degraded > 0 ? `${degraded} degraded` : ""]
              .filter(Boolean)
              .join(", "),
      tone: broken > 0 ? "bad" : degraded > 0 ? "warn" : "ok",
    },
    {
      name: "Round trip",
      value: middle === undefined ? "–" : `${milliseconds(middle)} ms`,
      note: middle === undefined ? "nothing measured yet" : `median; worst ${milliseconds(rtts.at(-1) ?? 0)} ms`,
      tone: "none",
    },
    {
      name: "Echoes lost",
      value: sent > 0 ? `${lost === 0 ? 0 : Math.max(0.1, (100 * lost) / sent).toFixed(1)} %` : "–",
      note: `${lost} of ${sent}`,
      tone: lost > 0 ? "warn" : "ok",
    },
    {
      name: "Traffic",
      value: perSecond(sum(nodes.map(({ txBytesPerSecond }) => txBytesPerSecond))),
      note: "between the nodes",
      tone: "none",
    },
    {
      name: "Drops",
      value: `${dropping > 0 ? Math.max(0.1, dropping).toFixed(1) : 0}/s`,
      note: `${sum(drops.map(({ count }) => count))} since the start`,
      tone: dropping > 0 ? "warn" : "ok",
    },
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
