import { button, el, fill } from "./dom";
import { Home } from "./home";
import { icon, logo } from "./icons";
import { askKey } from "./key_dialog";
import { routeOf, type Route } from "./routes";
import { Service } from "./service";
import { Workspace } from "./workspace";

/** What fills the page. */
interface Page {
  readonly element: HTMLElement;
  close(): void;
}

const service = new Service(askKey);
const main = el("main", { id: "main", tabindex: "-1" });
let page: (Page & { takes?: (route: Route) => boolean }) | null = null;

function show(): void {
  const route = routeOf(location.hash);
  if (page?.takes?.(route)) return;
  const first = page === null;
  page?.close();
  page = route.kind === "home" ? new Home(service) : new Workspace(service, route);
  fill(main, page.element);
  window.scrollTo(0, 0);
  // Whoever reads with a screen reader or the keyboard goes on at the new content.
  if (!first) main.focus({ preventScroll: true });
}

function header(): HTMLElement {
  const keyButton = button(icon("key"), () => void changeKey(), {
    class: "button button-quiet",
    "aria-label": "API key",
    title: "API key",
  });
  return el(
    "header",
    { class: "header" },
    el("a", { class: "brand", href: "#/" }, logo(), el("span", {}, "Spatial Agent")),
    el("nav", { "aria-label": "Main" }, el("a", { href: "#/", class: "nav-link" }, "Scenes"), keyButton),
  );
}

async function changeKey(): Promise<void> {
  const key = await askKey("The key goes with every request. It is kept in this tab only, until it is closed.");
  if (key !== null) service.key = key;
}

function skipLink(): HTMLElement {
  const link = el("a", { class: "skip", href: "#main" }, "Skip to the content");
  // The part after # is the route, so the jump is made here.
  link.addEventListener("click", (event) => (event.preventDefault(), main.focus()));
  return link;
}

document.body.replaceChildren(skipLink(), header(), main);
// A file that misses the place for files must not take the page away.
for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
window.addEventListener("hashchange", show);
show();
