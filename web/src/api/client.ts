import type { Wire } from "./wire";

/** The longest a person is left waiting; the server gives up at the same time. */
export const patienceMs = 10_000;

export type FailureKind = "invalid" | "unauthorized" | "forbidden" | "unavailable" | "timeout" | "broken";

/** Any way in which a call did not answer. `message` is fit for the page. */
export class ApiFailure extends Error {
  override readonly name = "ApiFailure";

  constructor(
    readonly kind: FailureKind,
    message: string,
    readonly correlationId: string | null = null,
  ) {
    super(message);
  }
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export function apiUrl(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "" && value !== false) parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** Asks once, without any cache, and gives up after `patienceMs`. */
export function getJson<Body>(path: string, query: Query, signal: AbortSignal): Promise<Body> {
  return call(apiUrl(path, query), { headers: { Accept: "application/json" } }, signal);
}

/** Changes something, and gives up after `patienceMs`: the change may then have been made all the same. */
export function sendJson<Body>(method: "POST" | "DELETE", path: string, body?: unknown): Promise<Body> {
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  return call(path, body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) });
}

async function call<Body>(url: string, init: RequestInit, signal?: AbortSignal): Promise<Body> {
  const patience = AbortSignal.timeout(patienceMs);
  try {
    const response = await fetch(url, {
      ...init,
      cache: "no-store",
      signal: signal === undefined ? patience : AbortSignal.any([signal, patience]),
    });
    if (!response.ok) throw await failureOf(response);
    return (await response.json()) as Body;
  } catch (cause) {
    throw asFailure(cause, patience.aborted);
  }
}

function asFailure(cause: unknown, impatient: boolean): unknown {
  if (impatient) return new ApiFailure("timeout", "Data temporarily unavailable");
  if (cause instanceof ApiFailure || isAbort(cause)) return cause;
  if (cause instanceof SyntaxError) return new ApiFailure("broken", "The server's answer could not be read");
  return new ApiFailure("unavailable", "The server cannot be reached");
}

export function isAbort(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === "AbortError";
}

async function failureOf(response: Response): Promise<ApiFailure> {
  const message = await errorMessage(response);
  return new ApiFailure(kindOf(response.status), message, response.headers.get("X-Correlation-ID"));
}

function kindOf(status: number): FailureKind {
  if (status === 400 || status === 404) return "invalid";
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 502 || status === 503 || status === 504) return "unavailable";
  return "broken";
}

async function errorMessage(response: Response): Promise<string> {
  const body = (await response.json().catch(() => null)) as Partial<Wire<"Error">> | null;
  // Something between us and the server may answer with its own page instead of our error body.
  return typeof body?.message === "string" ? body.message : `The server answered ${response.status}`;
}
