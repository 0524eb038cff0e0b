// Elements are made of text and attributes only, never of markup: what a scene or a user says stays data.

export type Child = Node | string | null | undefined | false;
type Value = string | number | boolean | null | undefined;

const SVG = "http://www.w3.org/2000/svg";

/** Make an HTML element; attributes that are null, undefined or false are left out. */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  setAll(made, attributes);
  made.append(...kept(children));
  return made;
}

/** Make an SVG element; attributes that are null, undefined or false are left out. */
export function svg<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): SVGElementTagNameMap[Tag] {
  const made = document.createElementNS(SVG, tag);
  setAll(made, attributes);
  made.append(...kept(children));
  return made;
}

/** Make a button that does something. */
export function button(
  label: Child,
  onClick: (event: MouseEvent) => void,
  attributes: Record<string, Value> = {},
): HTMLButtonElement {
  const made = el("button", { type: "button", class: "button", ...attributes }, label);
  made.addEventListener("click", onClick);
  return made;
}

/** Replace everything in an element. */
export function fill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren(...kept(children));
}

function setAll(made: Element, attributes: Record<string, Value>): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, String(value));
  }
}

function kept(children: Child[]): (Node | string)[] {
  return children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false);
}
