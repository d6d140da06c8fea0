import type { Mesh, MeshNode, Way } from "../mesh.ts";

/** In the units of the drawing; on a telephone it is drawn smaller, and so must hold less. */
export interface Sheet {
  readonly width: number;
  readonly height: number;
  readonly card: Box;
  readonly small: Box;
}

export interface Box {
  readonly width: number;
  readonly height: number;
  /** How much is written on it. */
  readonly letters: number;
  readonly full: boolean;
}

export const WIDE: Sheet = {
  width: 720,
  height: 530,
  card: { width: 140, height: 52, letters: 12, full: true },
  small: { width: 86, height: 24, letters: 9, full: false },
};
export const NARROW: Sheet = {
  width: 390,
  height: 400,
  card: { width: 116, height: 44, letters: 9, full: true },
  small: { width: 64, height: 24, letters: 6, full: false },
};
// Above this the cards would touch each other, and every label another line.
export const MOST_CARDS = 9;

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Placed {
  readonly node: MeshNode;
  readonly at: Point;
}

/** The charted nodes on a ring, from the top and as the clock goes. */
export function place({ charted, nodes }: Mesh, { width, height }: Sheet, box: Box): Placed[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const ring = charted.flatMap((id) => byId.get(id) ?? []);
  if (ring.length === 1) return ring.map((node) => ({ node, at: { x: width / 2, y: height / 2 } }));
  const unit = ring.map((_, i) => {
    const angle = (2 * Math.PI * i) / ring.length - Math.PI / 2;
    return { x: Math.cos(angle), y: Math.sin(angle) };
  });
  // Drawn as large as the sheet: a ring of five is less high than it is wide.
  const onto = (value: number, all: readonly number[], room: number): number => {
    const [least, most] = [Math.min(...all), Math.max(...all)];
    return most - least < 0.01 ? 0 : ((value - least) / (most - least) - 0.5) * room;
  };
  const [xs, ys] = [unit.map(({ x }) => x), unit.map(({ y }) => y)];
  return ring.map((node, i) => ({
    node,
    at: {
      x: width / 2 + onto(xs[i] ?? 0, xs, width - box.width - 8),
      y: height / 2 + onto(ys[i] ?? 0, ys, height - box.height - 8),
    },
  }));
}

/** Where the line from a node's middle leaves its card, and a little farther. */
export function edge(from: Point, towards: Point, box: Box): Point {
  const [dx, dy] = [towards.x - from.x, towards.y - from.y];
  const [w, h] = [box.width / 2 + 5, box.height / 2 + 5];
  const scale = Math.min(dx === 0 ? 1 : w / Math.abs(dx), dy === 0 ? 1 : h / Math.abs(dy), 0.5);
  return { x: from.x + dx * scale, y: from.y + dy * scale };
}

/** What is broken lies on top, and is told first. */
export function gravity({ state }: Way): number {
  return ["unknown", "up", "degraded", "unanswered", "down", "broken"].indexOf(state);
}

/** For attributes: tenths are more than a screen shows. */
export function round(value: number): number {
  return Math.round(value * 10) / 10;
}
