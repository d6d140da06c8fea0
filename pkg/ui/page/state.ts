import type { Mesh } from "../mesh.ts";

/** What the person looks at: a node, or what is between two. */
export type Selection =
  | { readonly kind: "node"; readonly id: string }
  | { readonly kind: "pair"; readonly from: string; readonly to: string };

export interface State {
  readonly mesh: Mesh;
  readonly selection: Selection | undefined;
}

/** Selects something, or what was selected before no more. */
export type Select = (selection: Selection | undefined) => void;

/** A part of the page: shows the state it is given, again and again. */
export type View = (state: State) => void;

export function sameSelection(a: Selection | undefined, b: Selection | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Whether the selection has to do with a node. */
export function touches(selection: Selection | undefined, id: string): boolean {
  if (!selection) return false;
  return selection.kind === "node" ? selection.id === id : selection.from === id || selection.to === id;
}

/** Whether the selection has to do with the way from one node to another. */
export function isOnWay(selection: Selection | undefined, from: string, to: string): boolean {
  if (!selection) return false;
  if (selection.kind === "node") return selection.id === from || selection.id === to;
  return touches(selection, from) && touches(selection, to);
}
