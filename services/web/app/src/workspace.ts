// A scene and what is asked about it.

import { Composer } from "./composer";
import { el, fill } from "./dom";
import { pause } from "./event_stream";
import { History } from "./history";
import { announcer, problemNotice } from "./notices";
import { asProblem, ServiceError } from "./problems";
import { QuestionPanel } from "./question_panel";
import { counted } from "./quantities";
import { addressOf, type Route } from "./routes";
import type { Service } from "./service";
import { suggestions } from "./suggestions";
import { Viewer } from "./viewer";
import type { QuestionView, SceneView, SessionView } from "./wire";

const POLL_MS = 700;
/** Answers that begin below this share of the window are scrolled to. */
const FOLD = 0.75;

export class Workspace {
  readonly element = el("div", { class: "workspace" });
  private readonly title = el("h1", {}, "…");
  private readonly facts = el("p", { class: "faint" });
  private readonly trouble = el("div");
  private readonly spoken = announcer();
  private readonly composer = new Composer((question, options) => void this.ask(question, options));
  private readonly panel: QuestionPanel;
  private readonly viewer: Viewer;
  private readonly closing = new AbortController();
  private history: History | null = null;
  private scene: SceneView | null = null;

  constructor(
    private readonly service: Service,
    route: Route,
  ) {
    this.viewer = new Viewer(service);
    this.panel = new QuestionPanel(service, {
      draw: (evidence) => this.viewer.focus(evidence),
      ended: (question) => this.ended(question),
    });
    const left = el(
      "div",
      { class: "workspace-ask" },
      el("div", { class: "scene-head" }, this.title, this.facts),
      this.trouble,
      this.composer.element,
      this.panel.element,
    );
    this.element.append(left, this.viewer.element, this.spoken.element);
    void this.open(route);
  }

  close(): void {
    this.closing.abort();
    this.panel.close();
    this.viewer.close();
  }

  /** Go to another place of the same scene, if it is one. */
  takes(route: Route): boolean {
    if (this.scene === null) return false;
    if (route.kind === "question") {
      const question = this.history?.question(route.id);
      if (question) void this.choose(question);
      return question !== undefined;
    }
    return route.kind === "scene" && route.id === this.scene.id;
  }

  private async open(route: Route): Promise<void> {
    if (route.kind === "home") return;
    try {
      const { signal } = this.closing;
      const asked =
        route.kind === "question" ? await this.service.get<QuestionView>(`v1/questions/${route.id}`, signal) : null;
      const id = asked?.scene ?? route.id;
      this.history = new History(this.service, id);
      this.element.append(this.history.element);
      await Promise.all([this.measured(id), this.history.load()]);
      if (asked !== null && !signal.aborted) await this.choose(asked);
    } catch (error) {
      if (!this.closing.signal.aborted) this.fail(error);
    }
  }

  /** Wait until the scene has been measured, and show it. */
  private async measured(id: string): Promise<void> {
    const { signal } = this.closing;
    for (;;) {
      const scene = await this.service.get<SceneView>(`v1/scenes/${id}`, signal);
      this.describe(scene);
      if (scene.state === "failed" && scene.problem !== null) throw new ServiceError(scene.problem);
      if (scene.state === "ready") break;
      this.viewer.wait(scene.state === "queued" ? "Waiting to be measured…" : "The scene is being measured…");
      await pause(POLL_MS, signal);
      if (signal.aborted) return;
    }
  }

  private describe(scene: SceneView): void {
    const before = this.scene?.state;
    this.scene = scene;
    document.title = `${scene.name} · Spatial Agent`;
    this.title.textContent = scene.name;
    this.facts.textContent = factsOf(scene);
    if (scene.state === "ready" && before !== "ready") {
      this.viewer.open(scene);
      this.composer.suggest(suggestions(scene));
      this.composer.enabled = true;
      this.spoken.say(`The scene is ready: ${this.facts.textContent}`);
    }
  }

  private async ask(question: string, options: string[]): Promise<void> {
    if (this.scene === null) return;
    fill(this.trouble);
    this.composer.enabled = false;
    try {
      const asked = await this.submit(this.scene.id, question, options);
      this.history?.put(asked);
      location.hash = addressOf({ kind: "question", id: asked.id });
    } catch (error) {
      this.fail(error);
    } finally {
      this.composer.enabled = true;
    }
  }

  /** Ask within the dialogue of this tab about the scene: "and the chair?" goes on with what was asked. */
  private async submit(scene: string, question: string, options: string[]): Promise<QuestionView> {
    const place = `spatial-agent.session.${scene}`;
    const known = sessionStorage.getItem(place);
    const session = known ?? (await this.service.post<SessionView>("v1/sessions", { scene })).id;
    sessionStorage.setItem(place, session);
    try {
      const request = { question, options, session };
      return await this.service.post<QuestionView>("v1/questions", request, { "Idempotency-Key": token() });
    } catch (error) {
      // A dialogue that has been forgotten is begun anew.
      if (known === null || !(error instanceof ServiceError) || error.status !== 404) throw error;
      sessionStorage.removeItem(place);
      return this.submit(scene, question, options);
    }
  }

  private async choose(question: QuestionView): Promise<void> {
    this.history?.choose(question.id);
    this.composer.compact();
    this.viewer.picture(null);
    const shown = this.panel.show(question);
    if (this.panel.element.getBoundingClientRect().top > window.innerHeight * FOLD) this.panel.element.scrollIntoView();
    await shown;
  }

  private ended(question: QuestionView): void {
    this.history?.put(question);
    if (question.state === "done") this.viewer.picture(question.id);
  }

  private fail(error: unknown): void {
    const problem = asProblem(error);
    if (this.scene === null) this.title.textContent = "Not found";
    fill(this.trouble, problemNotice(problem));
    if (this.scene?.state !== "ready") this.viewer.wait("");
  }
}

function factsOf(scene: SceneView): string {
  const parts = [
    scene.frames !== null && counted(scene.frames, "frame"),
    scene.state === "ready" && counted(scene.objects.length, "object"),
    scene.scale === "relative" && "no absolute scale",
  ];
  return parts.filter(Boolean).join(" · ");
}

/** Return something that nobody else makes; crypto.randomUUID is missing outside secure contexts. */
function token(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
