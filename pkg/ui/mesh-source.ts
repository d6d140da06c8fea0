import { type Clock, sleep } from "../base/clock.ts";
import { AgentView } from "./agent-view.ts";
import { Journal } from "./journal.ts";
import { MeshMaker } from "./make-mesh.ts";
import type { Mesh } from "./mesh.ts";

const TICK_MS = 1000;

/** Follows several agents, and hands on the mesh every second to whoever looks at it. */
export class MeshSource {
  readonly views: readonly AgentView[];
  readonly #clock: Clock;
  readonly #journal = new Journal();
  readonly #maker = new MeshMaker();
  readonly #readers = new Set<(mesh: Mesh) => void>();
  #last: Mesh | undefined;

  constructor(sockets: readonly string[], clock: Clock) {
    this.#clock = clock;
    this.views = sockets.map(
      (socket) =>
        new AgentView(socket, clock, ({ last }, lines) =>
          this.#journal.logged(last?.status.node.name ?? socket, lines),
        ),
    );
  }

  /** The first look at every agent. Where none of them answers, `views` say why. */
  async open(): Promise<void> {
    await Promise.all(this.views.map((view) => view.look()));
    this.#look();
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.views.map((view) => view.run(signal)), this.#tick(signal)]);
  }

  /** Calls `read` with the mesh at once and after each look. Returns a function that ends it. */
  subscribe(read: (mesh: Mesh) => void): () => void {
    this.#readers.add(read);
    if (this.#last) read(this.#last);
    return () => void this.#readers.delete(read);
  }

  // Apart from the agents' own rounds: one that hangs holds up nobody.
  async #tick(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.#clock, TICK_MS, signal);
      if (!signal.aborted) this.#look();
    }
  }

  #look(): void {
    const seen = this.#maker.make(this.views, this.#clock.now(), this.#clock.wall());
    this.#journal.look(seen);
    this.#last = { ...seen, events: this.#journal.events };
    for (const read of this.#readers) read(this.#last);
  }
}
