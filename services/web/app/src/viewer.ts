// The scene in four ways: in 3D, from above, in its frames, and as the picture of an answer.

import { el, fill } from "./dom";
import { FramesView } from "./frames_view";
import { MapView } from "./map_view";
import { problemNotice } from "./notices";
import { asProblem } from "./problems";
import type { Service } from "./service";
import type { SpaceView } from "./space_view";
import type { Evidence, SceneView } from "./wire";

const TABS = ["space", "map", "frames", "picture"] as const;
type Tab = (typeof TABS)[number];
const NAMES: Record<Tab, string> = { space: "3D", map: "Map", frames: "Frames", picture: "Picture" };

export class Viewer {
  readonly element = el("section", { class: "viewer", "aria-label": "The scene" });
  private readonly tabs = new Map<Tab, HTMLButtonElement>();
  private readonly panels = new Map<Tab, HTMLElement>();
  private readonly waiting = el("div", { class: "viewer-wait" }, el("p", { class: "faint" }, "Loading…"));
  private readonly map = new MapView();
  private space: SpaceView | null = null;
  private frames: FramesView | null = null;
  private scene: SceneView | null = null;
  private evidence: Evidence[] = [];
  private pictured: string | null = null;
  private closed = false;

  constructor(private readonly service: Service) {
    this.element.append(this.tabList(), this.waiting, ...TABS.map((tab) => this.panel(tab)));
    this.panels.get("map")?.append(this.map.element);
    this.noPicture();
    this.choose("space");
  }

  close(): void {
    this.closed = true;
    this.space?.close();
    this.frames?.close();
    this.release();
  }

  /** Say what the scene waits for. */
  wait(words: string): void {
    fill(this.waiting, words !== "" && el("span", { class: "spinner", "aria-hidden": "true" }), el("p", { class: "faint" }, words));
  }

  /** Show a scene that has been measured. */
  open(scene: SceneView): void {
    this.scene = scene;
    this.waiting.remove();
    this.element.classList.add("viewer-ready");
    this.map.open(scene);
    this.frames = new FramesView(this.service, scene);
    this.panels.get("frames")?.append(this.frames.element);
    if (this.tabs.get("frames")?.getAttribute("aria-selected") === "true") this.frames.show();
    void this.openSpace(scene);
  }

  /** Draw what was measured. */
  focus(evidence: Evidence[]): void {
    this.evidence = evidence;
    this.map.focus(evidence);
    this.space?.focus(evidence);
    this.frames?.focus(evidence);
  }

  /** Show the picture of an answer, or none. */
  picture(question: string | null): void {
    this.pictured = question;
    if (question === null) this.noPicture();
    else void this.loadPicture(question);
  }

  private async openSpace(scene: SceneView): Promise<void> {
    const panel = this.panels.get("space");
    try {
      const { SpaceView } = await import("./space_view");
      if (this.closed) return;
      this.space = new SpaceView(this.service, scene);
      panel?.replaceChildren(this.space.element);
      this.space.focus(this.evidence);
    } catch (error) {
      const detail = asProblem(error).detail;
      const title = "The 3D view does not run in this browser";
      panel?.replaceChildren(problemNotice({ type: "", title, status: 0, detail, instance: "" }));
      this.choose("map");
    }
  }

  private noPicture(): void {
    this.release();
    const words = "Ask a question to get a picture of its answer: the best frame beside the map.";
    this.panels.get("picture")?.replaceChildren(el("p", { class: "viewer-empty faint" }, words));
  }

  private async loadPicture(question: string): Promise<void> {
    const panel = this.panels.get("picture");
    if (!panel) return;
    try {
      const response = await this.service.send("GET", `v1/questions/${question}/picture.png`);
      const address = URL.createObjectURL(await response.blob());
      if (this.closed || this.pictured !== question) return URL.revokeObjectURL(address);
      this.release();
      const alt = `The best frame beside the map, with what was measured: ${this.words()}`;
      panel.replaceChildren(el("img", { src: address, alt, class: "picture" }));
    } catch (error) {
      if (this.pictured === question) panel.replaceChildren(problemNotice(asProblem(error)));
    }
  }

  private words(): string {
    return this.evidence.map(({ claim }) => claim).join(" ") || (this.scene?.name ?? "");
  }

  private release(): void {
    const shown = this.panels.get("picture")?.querySelector("img");
    if (shown) URL.revokeObjectURL(shown.src);
  }

  private tabList(): HTMLElement {
    const list = el("div", { class: "tabs", role: "tablist", "aria-label": "Views" });
    for (const tab of TABS) {
      const control = el(
        "button",
        { type: "button", role: "tab", id: `tab-${tab}`, class: "tab", "aria-controls": `panel-${tab}` },
        NAMES[tab],
      );
      control.addEventListener("click", () => this.choose(tab));
      this.tabs.set(tab, control);
      list.append(control);
    }
    list.addEventListener("keydown", (event) => this.byKey(event));
    return list;
  }

  private byKey(event: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const from = TABS.findIndex((tab) => this.tabs.get(tab) === document.activeElement);
    if (step === undefined || from < 0) return;
    const next = TABS[(from + step + TABS.length) % TABS.length];
    if (next === undefined) return;
    event.preventDefault();
    this.choose(next);
    this.tabs.get(next)?.focus();
  }

  private panel(tab: Tab): HTMLElement {
    const made = el("div", { role: "tabpanel", id: `panel-${tab}`, class: "panel", "aria-labelledby": `tab-${tab}` });
    this.panels.set(tab, made);
    return made;
  }

  private choose(chosen: Tab): void {
    for (const tab of TABS) {
      const on = tab === chosen;
      this.tabs.get(tab)?.setAttribute("aria-selected", String(on));
      this.tabs.get(tab)?.setAttribute("tabindex", on ? "0" : "-1");
      this.panels.get(tab)?.toggleAttribute("hidden", !on);
    }
    if (chosen === "frames") this.frames?.show();
  }
}
