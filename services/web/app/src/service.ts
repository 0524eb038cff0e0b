// Requests to the service; the key, where one is needed, goes with every one of them.

import { problemOf, ServiceError } from "./problems";

const KEY = "spatial-agent.key";

/** Asks for an API key; resolves to null where none is given. */
export type AskKey = (why: string) => Promise<string | null>;

export class Service {
  private asking: Promise<string | null> | null = null;

  constructor(private readonly askKey: AskKey) {}

  get key(): string | null {
    return sessionStorage.getItem(KEY);
  }

  set key(key: string | null) {
    if (key === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, key);
  }

  /** Return the address of something, relative to the page: it may live behind a path prefix. */
  address(path: string): string {
    return new URL(path.replace(/^\//, ""), document.baseURI).href;
  }

  /** Send a request, asking for a key where one is wanted; throws ServiceError on status 400 and above. */
  async send(method: string, path: string, options: RequestInit = {}): Promise<Response> {
    for (;;) {
      const used = this.key;
      const headers = new Headers(options.headers);
      if (used !== null) headers.set("Authorization", `Bearer ${used}`);
      const response = await fetch(this.address(path), { ...options, method, headers, credentials: "omit" });
      if (response.ok) return response;
      const problem = problemOf(response.status, await response.text());
      if (response.status !== 401 || !(await this.newKey(used, problem.detail))) throw new ServiceError(problem);
    }
  }

  async get<Document>(path: string, signal?: AbortSignal): Promise<Document> {
    const response = await this.send("GET", path, signal ? { signal } : {});
    return (await response.json()) as Document;
  }

  async post<Document>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Document> {
    const response = await this.send("POST", path, {
      body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", ...headers },
    });
    return (await response.json()) as Document;
  }

  async remove(path: string): Promise<void> {
    await this.send("DELETE", path);
  }

  /** Ask for another key unless one was given since; requests that fail together ask once. */
  async newKey(used: string | null, why: string): Promise<boolean> {
    if (this.key !== used) return this.key !== null;
    this.asking ??= this.askKey(why).finally(() => (this.asking = null));
    const given = await this.asking;
    if (given !== null) this.key = given;
    return given !== null;
  }
}
