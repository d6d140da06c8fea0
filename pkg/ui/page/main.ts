import { span } from "../../base/amounts.ts";
import { systemClock } from "../../base/clock.ts";
import type { Mesh } from "../mesh.ts";
import { makeDetails } from "./details.ts";
import { find, say, set } from "./dom.ts";
import { makeEvents } from "./events.ts";
import { makeFigures } from "./figures.ts";
import { makeMap } from "./map.ts";
import { makeMatrix } from "./matrix.ts";
import { makeNodes } from "./nodes.ts";
import { sameSelection, type Selection } from "./state.ts";
import { makeTroubles } from "./troubles.ts";
import { clock } from "./words.ts";

let mesh: Mesh | undefined;
let selection: Selection | undefined;

// What is pressed twice is let go.
const select = (chosen: Selection | undefined): void => {
  selection = sameSelection(chosen, selection) ? undefined : chosen;
  draw();
};

const views = [
  makeFigures(),
  makeTroubles(select),
  makeMap(select),
  makeMatrix(select),
  makeDetails(select),
  makeNodes(select),
  makeEvents(draw),
];

function draw(): void {
  if (!mesh) return;
  const wrong = mesh.troubles.filter(({ severity }) => severity === "error").length;
  live(`live, ${wrong === 0 ? "nothing broken" : wrong === 1 ? "1 thing broken" : `${wrong} things broken`}`, false);
  document.title = wrong > 0 ? `(${wrong}) twill` : "twill";
  say(find("#network"), mesh.network || "no agent knows the network yet");
  for (const view of views) view({ mesh, selection });
}

document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && selection) select(undefined);
});

const source = new EventSource("mesh");
source.addEventListener("message", ({ data }: MessageEvent<string>) => {
  mesh = JSON.parse(data) as Mesh;
  draw();
});
source.addEventListener("error", () => {
  const then = mesh ? `What is shown was true at ${clock(mesh.at)}` : "Nothing was seen yet";
  const gone = source.readyState === EventSource.CLOSED;
  const age = mesh ? `, ${span(systemClock.wall() - mesh.at)} ago` : "";
  live(
    gone
      ? `${then}: twillctl ui was started anew; open the address that it printed`
      : `${then}${age}: twillctl ui does not answer`,
    true,
  );
});

function live(text: string, stale: boolean): void {
  set(find("#live"), { class: stale ? "stale" : "" });
  set(document.body, { class: stale ? "stale" : "" });
  say(find("#live"), text);
}
