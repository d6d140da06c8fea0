import type { MeshEvent } from "../mesh.ts";
import { find, html, keyed } from "./dom.ts";
import type { View } from "./state.ts";
import { clock } from "./words.ts";

const LEVELS = { info: "info", warn: "warning", error: "error" } as const;

/** What happened, the newest first. */
export function makeEvents(redraw: () => void): View {
  const list = find("#events ol");
  const grave = find("#grave") as HTMLInputElement;
  grave.addEventListener("change", redraw);
  return ({ mesh }) => {
    const shown = mesh.events.filter(({ level }) => !grave.checked || level !== "info");
    keyed(list, shown, { key: ({ id }) => id, make: makeEvent, update: () => undefined });
  };
}

function makeEvent({ at, level, from, text, facts }: MeshEvent): Element {
  return html(
    "li",
    { class: level },
    html("time", { datetime: new Date(at).toISOString() }, clock(at)),
    html("span", { class: "level" }, LEVELS[level]),
    html("span", { class: "from" }, from),
    html("span", { class: "text" }, text, ...(facts === "" ? [] : [" ", html("code", {}, facts)])),
  );
}
