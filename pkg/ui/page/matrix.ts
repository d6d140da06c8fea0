import type { Mesh, MeshNode, Way } from "../mesh.ts";
import { find, focusOnly, html, keyed, say, set } from "./dom.ts";
import { isOnWay, type Select, type State, type View } from "./state.ts";
import { loss, milliseconds, nameOf, WAY_WORDS, type Words, wayOf } from "./words.ts";

/** Who measured what of whom: a row for each node that asks, a column for each that answers. */
export function makeMatrix(select: Select): View {
  const table = find("#matrix table");
  const [head, body] = [find("thead", table), find("tbody", table)];
  head.append(html("tr", { role: "row" }));
  table.addEventListener("keydown", (event) => moveInGrid(event, body));
  table.addEventListener("focusin", ({ target }) => {
    const cell = (target as Element).closest("td");
    if (cell) focusOnly(body.querySelectorAll("td"), cell);
  });
  return (state) => {
    const { mesh } = state;
    const nodes = mesh.charted.flatMap((id) => mesh.nodes.find((node) => node.id === id) ?? []);
    table.style.setProperty("--columns", String(nodes.length));
    drawHead(find("tr", head), nodes);
    keyed(body, nodes, {
      key: ({ id }) => id,
      make: () => html("tr", { role: "row" }, html("th", { scope: "row", role: "rowheader" })),
      update: (row, node) => drawRow(row, node, nodes, state, select),
    });
    const cells = [...body.querySelectorAll("td")];
    if (!cells.some((cell) => cell.tabIndex === 0))
      focusOnly(
        cells,
        cells.find((cell) => !cell.classList.contains("self")),
      );
  };
}

function drawHead(row: Element, nodes: readonly MeshNode[]): void {
  keyed(row, ["from ↓ to →", ...nodes.map(({ name }) => name)], {
    key: (name) => name,
    make: () => html("th", { scope: "col", role: "columnheader" }),
    update: (cell, name) => {
      set(cell, { title: name });
      say(cell, name);
    },
  });
}

function drawRow(row: Element, node: MeshNode, nodes: readonly MeshNode[], state: State, select: Select): void {
  const header = row.firstElementChild as HTMLElement;
  const known = node.self !== null && node.state !== "silent";
  set(row, { class: known ? "" : "unknown" });
  set(header, { title: node.name });
  keyed(header, known ? [node.name] : [node.name, node.state === "silent" ? "agent silent" : "not asked"], {
    key: (text) => text,
    make: () => html("span"),
    update: say,
  });
  const cells = [header, ...nodes];
  keyed(row, cells, {
    key: (cell) => (cell instanceof HTMLElement ? "" : cell.id),
    make: (cell) => (cell instanceof HTMLElement ? cell : makeCell(node.id, cell.id, select)),
    update: (cell, to) => {
      if (!(to instanceof HTMLElement)) drawCell(cell, node, to, state);
    },
  });
}

function makeCell(from: string, to: string, select: Select): HTMLElement {
  const cell = html(
    "td",
    { role: "gridcell", tabindex: -1, "data-from": from, "data-to": to },
    html("b", { "aria-hidden": "true" }),
    html("i", { "aria-hidden": "true" }),
    html("span", { class: "spoken" }),
  );
  if (from === to) return cell;
  const choose = (): void => select({ kind: "pair", from, to });
  cell.addEventListener("click", choose);
  cell.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose();
  });
  return cell;
}

function drawCell(cell: HTMLElement, from: MeshNode, to: MeshNode, { mesh, selection }: State): void {
  const [main, small, spoken] = [...cell.children] as [Element, Element, Element];
  if (from.id === to.id) {
    set(cell, { class: "self" });
    say(spoken, `${from.name} itself`);
    return;
  }
  const [way, back] = [wayOf(mesh, from.id, to.id), wayOf(mesh, to.id, from.id)];
  const { text, note, tone, words } = inCell(way, back);
  const exact = selection?.kind === "pair" && selection.from === from.id && selection.to === to.id;
  set(cell, {
    class: `${tone}${selection && isOnWay(selection, from.id, to.id) ? " on" : ""}`,
    "aria-selected": exact ? "true" : "false",
    title: words,
  });
  say(main, text);
  say(small, note);
  say(spoken, `${from.name} to ${to.name}: ${words}`);
}

interface Shown {
  readonly text: string;
  readonly note: string;
  readonly tone: Words["tone"];
  readonly words: string;
}

function inCell(way: Way | undefined, back: Way | undefined): Shown {
  const echo = way?.echo;
  if (!way || !echo) return { text: "", note: "", tone: "none", words: "not known: its agent is not asked or silent" };
  const { word, sign, tone } = WAY_WORDS[way.state];
  const lost = loss(echo);
  if (echo.state === "unknown") return { text: "…", note: "", tone: "none", words: "not measured yet" };
  if (way.state === "up" && echo.state === "up") {
    const rtt = milliseconds(echo.rttMs);
    return { text: rtt, note: lost, tone, words: `works, ${rtt} ms, ${lost} lost` };
  }
  // The way there works, and the echo is lost on the way back.
  if (way.state === "up" || way.state === "unknown")
    return {
      text: "↩ ✕",
      note: "no echo",
      tone: "warn",
      words: `echoes arrive, and are lost on the way back${back?.why ? `: ${back.why}` : ""}`,
    };
  if (way.state === "degraded")
    return {
      text: `${sign} ${milliseconds(echo.rttMs)}`,
      note: lost,
      tone,
      words: `degraded: ${way.why}; ${milliseconds(echo.rttMs)} ms, ${lost} lost`,
    };
  return { text: sign, note: word, tone, words: `${word}: ${way.why}; ${lost} of the last echoes lost` };
}

function moveInGrid(event: KeyboardEvent, body: Element): void {
  const cell = (event.target as Element).closest("td");
  if (!cell) return;
  const grid = [...body.children].map((row) => [...row.querySelectorAll("td")]);
  const y = grid.findIndex((row) => row.includes(cell));
  const x = grid[y]?.indexOf(cell) ?? 0;
  const steps: Readonly<Record<string, readonly [number, number]>> = {
    ArrowRight: [1, 0],
    ArrowLeft: [-1, 0],
    ArrowDown: [0, 1],
    ArrowUp: [0, -1],
    Home: [-x, 0],
    End: [grid.length - 1 - x, 0],
  };
  const step = steps[event.key];
  const next = step && grid[y + step[1]]?.[x + step[0]];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

/** For the title of the page and of details: "node1 → node3". */
export function pairName(mesh: Mesh, from: string, to: string): string {
  return `${nameOf(mesh, from)} → ${nameOf(mesh, to)}`;
}
