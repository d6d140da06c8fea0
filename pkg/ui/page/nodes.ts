import type { MeshNode } from "../mesh.ts";
import { find, html, keyed, say, set } from "./dom.ts";
import { type Select, touches, type View } from "./state.ts";
import { amount, NODE_WORDS, nodeWords, perSecond } from "./words.ts";

const COLUMNS = ["state", "subnet", "address", "plane", "version", "number", "number", "drops"] as const;

/** Every node with what it says of itself. */
export function makeNodes(select: Select): View {
  const body = find("#nodes tbody");
  return ({ mesh, selection }) =>
    keyed(body, mesh.nodes, {
      key: ({ id }) => id,
      make: ({ id }) => {
        const button = html("button", { type: "button" });
        button.addEventListener("click", () => select({ kind: "node", id }));
        return html(
          "tr",
          {},
          html("th", { scope: "row" }, button),
          ...COLUMNS.map((name) => html("td", { class: name })),
        );
      },
      update: (row, node) => {
        const [head, ...cells] = [...row.children] as [Element, ...Element[]];
        const button = find("button", head);
        set(row, { class: touches(selection, node.id) ? "on" : "", "data-id": node.id });
        set(button, { "aria-pressed": selection?.kind === "node" && selection.id === node.id ? "true" : "false" });
        say(button, node.name);
        const { tone, sign } = NODE_WORDS[node.state];
        set(cells[0] as Element, { class: `state ${tone}` });
        const texts = [`${sign} ${nodeWords(node, mesh.at)}`, ...factsOf(node)];
        for (const [i, text] of texts.entries()) say(cells[i] as Element, text);
      },
    });
}

function factsOf({ subnets, addresses, plane, self, txBytesPerSecond, rxBytesPerSecond }: MeshNode): string[] {
  const parts = [
    plane || "does not say",
    self?.rung ?? "",
    self && self.mtus.length > 0 ? `MTU ${self.mtus.join(" ")}` : "",
  ];
  return [
    subnets.join(" ") || "no lease",
    addresses.join(" "),
    parts.filter((part) => part !== "").join(", "),
    self?.version ?? "–",
    perSecond(txBytesPerSecond),
    perSecond(rxBytesPerSecond),
    dropsInWords(self?.drops),
  ];
}

function dropsInWords(drops: readonly { readonly reason: string; readonly count: number }[] | undefined): string {
  if (!drops) return "not known";
  const [first, ...rest] = drops;
  if (!first) return "none";
  return `${packets(first.count)} ${first.reason}${rest.length > 0 ? `, ${rest.length} more` : ""}`;
}

/** A count of packets in a few letters: amount() without its B. */
export function packets(count: number): string {
  return amount(count).replace(/ ?B$/, "");
}
