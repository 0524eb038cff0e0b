/** Where in the page somebody is; it is the part of the address after #, so that links can be shared. */
export type Route = { kind: "home" } | { kind: "scene"; id: string } | { kind: "question"; id: string };

const PATTERN = /^#\/(scenes|questions)\/([a-z0-9_]+)$/;

export function routeOf(hash: string): Route {
  const [, place, id] = PATTERN.exec(hash) ?? [];
  if (place === undefined || id === undefined) return { kind: "home" };
  return { kind: place === "scenes" ? "scene" : "question", id };
}

export function addressOf(route: Route): string {
  return route.kind === "home" ? "#/" : `#/${route.kind}s/${route.id}`;
}
