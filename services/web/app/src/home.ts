// Where scenes come from: files handed over, the samples, and those that are here already.

import { fromDrop, fromInput, type Selection } from "./chosen_files";
import { button, el, fill } from "./dom";
import { icon } from "./icons";
import { announcer, problemNotice } from "./notices";
import { asProblem } from "./problems";
import { bytesText, counted } from "./quantities";
import { addressOf } from "./routes";
import type { Service } from "./service";
import { upload } from "./uploading";
import type { SceneList, SceneState, SceneView } from "./wire";

const STATES: Record<SceneState, string> = {
  queued: "waiting",
  measuring: "being measured",
  ready: "ready",
  failed: "failed",
};

export class Home {
  readonly element = el("div", { class: "home" });
  private readonly trouble = el("div");
  private readonly intake = el("section", { class: "drop", "aria-label": "Add a scene" });
  private readonly samples = el("div", { class: "samples" });
  private readonly list = el("section", { class: "scenes", "aria-labelledby": "scenes-title", hidden: true });
  private readonly spoken = announcer();
  private readonly closing = new AbortController();

  constructor(private readonly service: Service) {
    document.title = "Spatial Agent";
    this.element.append(
      el("h1", {}, "Ask a room. Get a measured answer."),
      el(
        "p",
        { class: "lead" },
        "Every number comes with its margin and the evidence it rests on. Where the scene cannot tell, the answer says so.",
      ),
      this.trouble,
      this.intake,
      this.samples,
      this.list,
      this.spoken.element,
    );
    this.takeDrops();
    this.offer();
    void this.refresh();
  }

  close(): void {
    this.closing.abort();
  }

  private offer(): void {
    const files = filePicker("Choose files", { multiple: true }, (chosen) => void this.send(chosen));
    const folder = filePicker("Choose a folder", { webkitdirectory: true }, (chosen) => void this.send(chosen));
    fill(
      this.intake,
      el("div", { class: "drop-icon" }, icon("upload")),
      el("h2", {}, "Drop a scan, a video or pictures here"),
      el("p", { class: "faint" }, "A folder, an archive (zip, tar), a video, one or several pictures, or a scene file."),
      el("div", { class: "row" }, files, folder),
    );
  }

  private takeDrops(): void {
    const over = (on: boolean) => this.intake.classList.toggle("drop-over", on);
    this.intake.addEventListener("dragover", (event) => (event.preventDefault(), over(true)));
    this.intake.addEventListener("dragleave", () => over(false));
    this.intake.addEventListener("drop", (event) => {
      event.preventDefault();
      over(false);
      if (event.dataTransfer) void fromDrop(event.dataTransfer).then((chosen) => this.send(chosen));
    });
  }

  private async send(chosen: Selection): Promise<void> {
    if (chosen.files.length === 0) return;
    const cancelling = new AbortController();
    const bar = el("progress", { max: 1, value: 0, "aria-label": `Upload of ${chosen.name}` });
    const amount = el("span", { class: "faint" });
    const cancel = button("Cancel", () => cancelling.abort());
    fill(
      this.intake,
      el("h2", {}, `Uploading ${chosen.name}`),
      bar,
      amount,
      el("div", { class: "row" }, cancel),
    );
    cancel.focus();
    const progress = (sent: number, total: number): void => {
      bar.value = total > 0 ? sent / total : 0;
      const files = counted(chosen.files.length, "file");
      amount.textContent = `${bytesText(sent)} of ${bytesText(total)}, ${files}`;
    };
    await this.goTo(() => upload(this.service, chosen, progress, cancelling.signal));
  }

  /** Go to the scene that comes of something, or say why there is none. */
  private async goTo(make: () => Promise<SceneView>): Promise<void> {
    fill(this.trouble);
    try {
      const scene = await make();
      if (!this.closing.signal.aborted) location.hash = addressOf({ kind: "scene", id: scene.id });
    } catch (error) {
      const cancelled = error instanceof DOMException && error.name === "AbortError";
      if (!cancelled) fill(this.trouble, problemNotice(asProblem(error)));
      this.offer();
    }
  }

  private async refresh(): Promise<void> {
    try {
      const known = await this.service.get<SceneList>("v1/scenes", this.closing.signal);
      this.showSamples(known.samples);
      this.showScenes(known.scenes);
    } catch (error) {
      if (!this.closing.signal.aborted) fill(this.trouble, problemNotice(asProblem(error)));
    }
  }

  private showSamples(names: string[]): void {
    const offers = names.map((name) => {
      const open = button(el("span", {}, `Try the sample: ${name.replaceAll("_", " ")}`), () => {
        open.disabled = true;
        const made = this.goTo(() => this.service.post<SceneView>("v1/scenes", { sample: name }));
        void made.finally(() => (open.disabled = false));
      });
      open.classList.add("button-main");
      open.append(icon("arrow"));
      return open;
    });
    fill(this.samples, offers.length > 0 && el("span", { class: "faint" }, "No recording at hand?"), ...offers);
  }

  private showScenes(scenes: SceneView[]): void {
    this.list.hidden = scenes.length === 0;
    fill(
      this.list,
      el("h2", { id: "scenes-title" }, "Your scenes"),
      el("ul", { class: "cards" }, ...scenes.map((scene) => this.card(scene))),
    );
  }

  private card(scene: SceneView): HTMLElement {
    const facts = [
      scene.frames !== null && counted(scene.frames, "frame"),
      bytesText(scene.bytes),
      new Date(scene.created * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }),
    ];
    const item = el("li", { class: "card scene-card" });
    const remove = button(icon("bin"), () => void this.remove(scene, item), {
      class: "button button-quiet",
      "aria-label": `Delete ${scene.name}`,
      title: "Delete",
    });
    item.append(
      el(
        "div",
        { class: "scene-card-text" },
        el("a", { href: addressOf({ kind: "scene", id: scene.id }) }, scene.name),
        el("span", { class: "faint" }, facts.filter(Boolean).join(" · ")),
      ),
      el("span", { class: `badge badge-${scene.state}` }, STATES[scene.state]),
      remove,
    );
    return item;
  }

  private async remove(scene: SceneView, item: HTMLElement): Promise<void> {
    if (!window.confirm(`Delete “${scene.name}” with all that was asked about it?`)) return;
    try {
      await this.service.remove(`v1/scenes/${scene.id}`);
      item.remove();
      this.spoken.say(`${scene.name} was deleted.`);
    } catch (error) {
      fill(this.trouble, problemNotice(asProblem(error)));
    }
  }
}

/** A button that opens the browser's own way to choose files. */
function filePicker(
  label: string,
  attributes: Record<string, boolean>,
  take: (chosen: Selection) => void,
): HTMLElement {
  const input = el("input", { type: "file", class: "spoken", tabindex: -1, "aria-hidden": "true", ...attributes });
  input.addEventListener("change", () => {
    take(fromInput(input));
    input.value = "";
  });
  return el("span", {}, input, button(label, () => input.click()));
}
