import { printable } from "../base/printable.ts";
import type { AgentLine } from "./agent-view.ts";
import type { Mesh, MeshEvent, WayState } from "./mesh.ts";

const MOST = 200;
const PATIENCE_MS = 20_000;
const BAD: ReadonlySet<WayState> = new Set(["broken", "unanswered", "down"]);
const LEVELS: ReadonlySet<string> = new Set(["info", "warn", "error"]);

/** What has happened in the mesh: what the agents log, and what changes between two looks at it. The newest first. */
export class Journal {
  #events: MeshEvent[] = [];
  #count = 0;
  readonly #ways = new Map<string, WayState>();
  /** Since when echoes have got no answer, without it being known why. */
  readonly #unanswered = new Map<string, number>();
  readonly #agents = new Map<string, boolean>();

  get events(): readonly MeshEvent[] {
    return this.#events;
  }

  /** Lines that an agent has logged. */
  logged(from: string, lines: readonly AgentLine[]): void {
    for (const { text } of lines) {
      const line = parse(text);
      if (!line) continue;
      const { level, time, msg, ...facts } = line;
      if (typeof level !== "string" || !LEVELS.has(level)) continue;
      this.#add({
        at: typeof time === "string" ? Date.parse(time) || 0 : 0,
        level: level as MeshEvent["level"],
        from: printable(from),
        text: printable(String(msg)),
        facts: Object.keys(facts).length > 0 ? printable(JSON.stringify(facts)) : "",
      });
    }
    this.#settle();
  }

  /** One look at the mesh: tells of ways that have come to be broken or to work again, and of agents that fall silent. */
  look({ at, agents, nodes, ways }: Omit<Mesh, "events">): void {
    const names = new Map(nodes.map(({ id, name }) => [id, name]));
    const named = (id: string): string => names.get(id) ?? id;
    const own = (level: MeshEvent["level"], text: string, since: number): void =>
      this.#add({ at: since > 0 ? since : at, level, from: "twillctl", text, facts: "" });
    for (const { socket, node, answers, since, error } of agents) {
      const before = this.#agents.get(socket);
      this.#agents.set(socket, answers);
      const who = printable(node === "" ? socket : named(node));
      if (before !== answers && !answers) own("error", `the agent of ${who} does not answer: ${error}`, since);
      if (before === false && answers) own("info", `the agent of ${who} answers again`, since);
    }
    for (const { from, to, state, why, since } of ways) {
      const key = `${from} ${to}`;
      if (state === "unknown") continue;
      // Counters need a few packets to tell on which of the two ways echoes are lost: it is told when they have.
      if (state === "unanswered" && at - (this.#unanswered.get(key) ?? at) < PATIENCE_MS) {
        this.#unanswered.set(key, this.#unanswered.get(key) ?? at);
        continue;
      }
      this.#unanswered.delete(key);
      const before = this.#ways.get(key) ?? "unknown";
      this.#ways.set(key, state);
      if (state === before) continue;
      const way = `${named(from)} → ${named(to)}`;
      const wasBad = BAD.has(before);
      // Echoes that were lost meanwhile are among the last ones for a while.
      if (state === "degraded") own(wasBad ? "info" : "warn", `${way}${wasBad ? " works again" : ""}: ${why}`, since);
      else if (state !== "up") own("error", `${way}: ${why}`, since);
      else if (before !== "unknown") own("info", `${way} works again${wasBad ? "" : " as it should"}`, since);
    }
    this.#settle();
  }

  #add(event: Omit<MeshEvent, "id">): void {
    this.#events.push({ id: String(++this.#count), ...event });
  }

  #settle(): void {
    this.#events = this.#events.toSorted((a, b) => b.at - a.at || Number(b.id) - Number(a.id)).slice(0, MOST);
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
