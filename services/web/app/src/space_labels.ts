// Words at places in 3D, as text over the picture; of those that would cover each other the first stays.

import type { PerspectiveCamera, Vector3 } from "three";

import { el } from "./dom";

export interface Label {
  text: string;
  at: Vector3;
  colour: string;
  look: "plain" | "strong" | "measured";
}

const GAP_PX = 2;

export class Labels {
  readonly element = el("div", { class: "labels", "aria-hidden": "true" });
  private shown: { label: Label; element: HTMLElement; width: number; height: number }[] = [];

  /** Show these, the important ones first. */
  put(labels: Label[]): void {
    const elements = labels.map((label) => {
      const element = el("span", { class: `label label-${label.look}` }, label.text);
      element.style.setProperty("--own", label.colour);
      return element;
    });
    this.element.replaceChildren(...elements);
    this.shown = labels.map((label, place) => ({ label, element: elements[place]!, width: 0, height: 0 }));
  }

  /** Move them to where a camera sees them. */
  place(camera: PerspectiveCamera, width: number, height: number): void {
    const taken: DOMRectReadOnly[] = [];
    for (const item of this.shown) {
      if (item.width === 0) {
        item.width = item.element.offsetWidth;
        item.height = item.element.offsetHeight;
      }
      const seen = item.label.at.clone().project(camera);
      const x = ((seen.x + 1) / 2) * width;
      const y = ((1 - seen.y) / 2) * height;
      const box = new DOMRectReadOnly(x - item.width / 2, y - item.height / 2, item.width, item.height);
      const free = Math.abs(seen.z) <= 1 && taken.every((other) => apart(box, other));
      item.element.toggleAttribute("data-away", !free);
      if (!free) continue;
      item.element.style.transform = `translate(${box.x.toFixed(1)}px, ${box.y.toFixed(1)}px)`;
      taken.push(box);
    }
  }
}

function apart(a: DOMRectReadOnly, b: DOMRectReadOnly): boolean {
  return (
    a.left > b.right + GAP_PX || a.right < b.left - GAP_PX || a.top > b.bottom + GAP_PX || a.bottom < b.top - GAP_PX
  );
}
