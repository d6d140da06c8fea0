// Elements are made of names and text only: nothing here takes markup, so that no name of a node can become any.

type Value = string | number | boolean | undefined;
export type Attributes = Readonly<Record<string, Value>>;

const SVG = "http://www.w3.org/2000/svg";

export function html<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  set(element, attributes);
  element.append(...children);
  return element;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  set(element, attributes);
  element.append(...children);
  return element;
}

/** Sets what has changed; false or undefined takes an attribute away. */
export function set(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
  }
}

/** Sets the text where it has changed, so that a screen reader is not told the same again. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** The first element that the selector finds. Throws where the page has none. */
export function find(selector: string, within: ParentNode = document): HTMLElement {
  const element = within.querySelector<HTMLElement>(selector);
  if (!element) throw new Error(`the page has no ${selector}`);
  return element;
}

const rows = new WeakMap<Element, Map<string, Element>>();

/**
 * Makes the children of `parent` those of the items, in their order. An element stays with its key, and so keeps the focus and
 * what is selected in it.
 */
export function keyed<T, E extends Element>(
  parent: Element,
  items: readonly T[],
  { key, make, update }: { key: (item: T) => string; make: (item: T) => E; update: (element: E, item: T) => void },
): void {
  const before = (rows.get(parent) ?? new Map<string, Element>()) as Map<string, E>;
  const after = new Map<string, E>();
  const names = unique(items.map(key));
  for (const [i, name] of names.entries()) after.set(name, before.get(name) ?? make(items[i] as T));
  for (const [name, element] of before) if (after.get(name) !== element) element.remove();
  let place = parent.firstElementChild;
  for (const element of after.values()) {
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const [i, name] of names.entries()) update(after.get(name) as E, items[i] as T);
  rows.set(parent, after);
}

// Two nodes may have one name.
function unique(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const before = seen.get(name) ?? 0;
    seen.set(name, before + 1);
    return before === 0 ? name : `${name} ${before}`;
  });
}

/**
 * One of several elements is in the tab order, and arrow keys go from it to the others (WAI-ARIA Authoring Practices,
 * "roving tabindex").
 */
export function focusOnly(elements: Iterable<Element>, chosen: Element | undefined): void {
  for (const element of elements) set(element, { tabindex: element === chosen ? 0 : -1 });
}
