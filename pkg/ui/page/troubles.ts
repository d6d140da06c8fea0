import type { Trouble } from "../mesh.ts";
import { find, html, keyed, say, set } from "./dom.ts";
import type { Select, Selection, View } from "./state.ts";
import { duration } from "./words.ts";

/** What is wrong, a sentence each; a press selects what it is about. */
export function makeTroubles(select: Select): View {
  const root = find("#troubles");
  const list = find("ul", root);
  return ({ mesh }) => {
    set(root, { class: mesh.troubles.length === 0 ? "calm" : "" });
    const asked = mesh.agents.filter(({ answers }) => answers).length;
    const calm: Trouble = {
      severity: "warning",
      text: `Nothing, as far as ${asked === 1 ? "the agent that was asked knows" : `the ${asked} agents that were asked know`}.`,
      since: 0,
      nodes: [],
    };
    keyed(list, mesh.troubles.length > 0 ? mesh.troubles : [calm], {
      key: ({ text, nodes }) => (nodes.length > 0 ? nodes.join(" ") + text.replaceAll(/\d+/g, "") : text),
      make: ({ nodes }) => {
        const selection = selectionOf(nodes);
        const sign = html("span", { class: "sign", "aria-hidden": "true" });
        const words = selection ? html("button", { type: "button" }) : html("span");
        if (selection) words.addEventListener("click", () => select(selection));
        return html("li", {}, sign, words, html("span", { class: "since" }));
      },
      update: (item, trouble) => {
        const [sign, words, since] = [...item.children] as [Element, Element, Element];
        const quiet = mesh.troubles.length === 0;
        set(item, { class: quiet ? "ok" : trouble.severity === "error" ? "bad" : "warn" });
        say(sign, quiet ? "✓" : trouble.severity === "error" ? "✕" : "!");
        say(words, trouble.text);
        say(since, duration(trouble.since, mesh.at));
      },
    });
  };
}

function selectionOf([one, two]: readonly string[]): Selection | undefined {
  if (one === undefined) return undefined;
  return two === undefined ? { kind: "node", id: one } : { kind: "pair", from: one, to: two };
}
