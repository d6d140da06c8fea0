import { span } from "../../base/amounts.ts";
import type { Mesh, MeshNode, Way } from "../mesh.ts";
import { find, html, keyed, say } from "./dom.ts";
import { pairName } from "./matrix.ts";
import type { Select, Selection, View } from "./state.ts";
import { amount, clock, duration, loss, milliseconds, nodeWords, perSecond, WAY_WORDS, wayOf } from "./words.ts";
import { packets } from "./nodes.ts";

interface Block {
  readonly title: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
}

const HINT = "Select a node, a line or a cell to see all that is known of it. Escape lets it go.";

/** Everything that is known of what is selected. */
export function makeDetails(select: Select): View {
  const box = find("#details div");
  const close = html("button", { type: "button", class: "close" }, "Let go");
  close.addEventListener("click", () => {
    // The button goes away: what was let go has the focus then.
    const selected = document.querySelector<HTMLElement>('#matrix [aria-selected="true"], #map [aria-pressed="true"]');
    select(undefined);
    selected?.focus();
  });
  return ({ mesh, selection }) => {
    const blocks = selection ? blocksOf(mesh, selection) : [{ title: HINT, facts: [] }];
    keyed(box, [...blocks, ...(selection ? [close] : [])], {
      key: (block) => (block instanceof HTMLElement ? "close" : block.title),
      make: (block): HTMLElement =>
        block instanceof HTMLElement
          ? block
          : html("section", {}, html(selection ? "h3" : "p", {}, block.title), html("dl")),
      update: (element, block) => {
        if (!(block instanceof HTMLElement)) drawFacts(find("dl", element), block.facts);
      },
    });
  };
}

function drawFacts(list: Element, facts: Block["facts"]): void {
  keyed(list, facts, {
    key: ([name]) => name,
    make: ([name]) => html("div", {}, html("dt", {}, name), html("dd")),
    update: (row, [, value]) => say(find("dd", row), value),
  });
}

function blocksOf(mesh: Mesh, selection: Selection): Block[] {
  if (selection.kind === "node") {
    const node = mesh.nodes.find(({ id }) => id === selection.id);
    return node ? [nodeBlock(mesh, node)] : [{ title: `${selection.id} is not in the mesh any more`, facts: [] }];
  }
  const { from, to } = selection;
  return [
    [from, to],
    [to, from],
  ].map(([from = "", to = ""]) => wayBlock(mesh, pairName(mesh, from, to), wayOf(mesh, from, to)));
}

function nodeBlock({ at, agents }: Mesh, node: MeshNode): Block {
  const { self } = node;
  const agent = agents.find((each) => each.node === node.id);
  return {
    title: node.name,
    facts: present([
      ["state", nodeWords(node, at)],
      ["subnet", node.subnets.join(" ")],
      ["address", node.addresses.join(" ")],
      ["underlay", self?.underlay],
      ["data plane", node.plane || "does not say, so it is not twill's"],
      ["MTU", self?.mtus.join(" ")],
      ["offload", self?.rung],
      ["agent", self ? `twilld ${self.version}, running for ${span(at - self.startedAt)}` : "not asked"],
      ["silent because", agent?.error],
      ["etcd", self?.etcd],
      ["lease", self && self.leaseExpiresAt > 0 ? `expires in ${span(self.leaseExpiresAt - at)}` : undefined],
      ["sends", perSecond(node.txBytesPerSecond)],
      ["receives", perSecond(node.rxBytesPerSecond)],
      ["problems", self?.problems.join("; ")],
      ...(self?.drops ?? []).map(({ reason, count, perSecond }): [string, string] => [
        reason,
        `${packets(count)} packets dropped${perSecond > 0 ? `, ${perSecond.toFixed(1)}/s now` : ""}`,
      ]),
    ]),
  };
}

function wayBlock({ at }: Mesh, title: string, way: Way | undefined): Block {
  if (!way) return { title, facts: [["state", "not known: the agents of both are not asked"]] };
  const { state, why, since, echo, counted } = way;
  const { word } = WAY_WORDS[state];
  return {
    title,
    facts: present([
      ["state", since > 0 && state !== "up" ? `${word} ${duration(since, at)}` : word],
      ["because", why],
      [
        "echo",
        echo
          ? {
              up: "comes back",
              "overlay-down": "no answer; the underlay answers",
              down: "no answer, nor on the underlay",
              unknown: "not asked yet",
            }[echo.state]
          : "not known: its agent is not asked or silent",
      ],
      [
        echo && echo.state !== "up" ? "last round trip" : "round trip",
        echo && echo.rttMs > 0 ? `${milliseconds(echo.rttMs)} ms` : undefined,
      ],
      ["lost", echo && echo.sent > 0 ? `${loss(echo)}, ${echo.lost} of the last ${echo.sent}` : undefined],
      [
        "last answer",
        echo && echo.lastSeen > 0 ? `${clock(echo.lastSeen)}, ${span(at - echo.lastSeen)} ago` : undefined,
      ],
      ["path MTU", echo && echo.mtu > 0 ? `${echo.mtu} of ${echo.wantedMtu} bytes` : undefined],
      ["TCP", echo && echo.tcp !== "unknown" ? echo.tcp : undefined],
      [
        "traffic",
        counted
          ? `${perSecond(way.bytesPerSecond)}, ${Math.round(way.packetsPerSecond)} packets/s`
          : "not counted by either end",
      ],
      ["so far", counted ? `${amount(way.bytes)} in ${packets(way.packets)} packets` : undefined],
    ]),
  };
}

function present(facts: readonly (readonly [string, string | undefined | null])[]): [string, string][] {
  return facts.flatMap(([name, value]): [string, string][] => (value ? [[name, value]] : []));
}
