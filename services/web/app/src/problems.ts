import type { Problem } from "./wire";

/** A request that came to nothing, in words that can be shown. */
export class ServiceError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title);
  }

  get status(): number {
    return this.problem.status;
  }
}

/** Return the problem that a response of status 400 or more describes. */
export function problemOf(status: number, body: string): Problem {
  const fallback: Problem = {
    type: "about:blank",
    title: `The service answered with status ${status}`,
    status,
    detail: "",
    instance: "",
  };
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === "object" && parsed !== null ? { ...fallback, ...parsed } : fallback;
  } catch {
    return fallback;
  }
}

/** Return any error as a problem; what is not the service's own counts as a broken connection. */
export function asProblem(error: unknown): Problem {
  if (error instanceof ServiceError) return error.problem;
  const detail = error instanceof Error ? error.message : String(error);
  return { type: "about:blank", title: "The service could not be reached", status: 0, detail, instance: "" };
}
