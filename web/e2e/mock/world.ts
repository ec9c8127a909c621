/** A believable installation: forty endpoints, a day's rhythm, a slow deploy, an hour of silence and an outage. */

export interface World {
  readonly now: Date;
  /** Requests a second at a moment, before chance. */
  readonly load: (moment: number) => number;
  readonly slowdown: (moment: number) => number;
  readonly errorShare: (moment: number) => number;
  readonly endpoints: readonly Endpoint[];
  readonly users: readonly string[];
}

export interface Endpoint {
  readonly app: string;
  readonly endpoint: string;
  readonly method: string;
  readonly weight: number;
  readonly base: number;
  readonly errors: number;
}

/** Numbers that look like chance and are the same every time (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const resources = ["orders", "customers", "products", "reports", "dashboards", "queries", "models", "files", "alerts", "teams"];
const shapes = [
  { method: "GET", path: "", weight: 30, base: 22 },
  { method: "GET", path: "/{id}", weight: 22, base: 14 },
  { method: "POST", path: "", weight: 5, base: 48 },
  { method: "GET", path: "/{id}/history", weight: 3, base: 160 },
];

const hour = 3_600_000;

export function makeWorld(now: Date): World {
  const random = chance(7);
  const endpoints = resources.flatMap((resource, index) =>
    shapes.map((shape) => ({
      app: index < 7 ? "orders-api" : "reporting",
      endpoint: `/api/v1/${resource}${shape.path}`,
      method: shape.method,
      weight: (shape.weight * (0.2 + random())) / (1 + index),
      base: shape.base * (0.5 + 2 * random()),
      errors: random() < 0.25 ? 0.02 * random() : 0.002 * random(),
    })),
  );
  // Called so rarely that its p99 would mean nothing.
  endpoints.push({ app: "reporting", endpoint: "/api/v1/admin/reindex", method: "POST", weight: 0.000_02, base: 4200, errors: 0.1 });
  const end = now.getTime();
  return {
    now,
    endpoints,
    users: Array.from({ length: 156 }, (_, index) => `person.${String(index + 1).padStart(3, "0")}@example.com`),
    load: (moment) => {
      if (moment > end - 9 * hour && moment < end - 8 * hour) return 0;
      const at = new Date(moment);
      const weekend = at.getDay() === 0 || at.getDay() === 6 ? 0.25 : 1;
      return weekend * (1 + 13 * Math.max(0, Math.sin(((at.getHours() + at.getMinutes() / 60 - 6) / 14) * Math.PI)) ** 2);
    },
    slowdown: (moment) => (moment > end - 5 * hour && moment < end - 3 * hour ? 2.6 : 1),
    errorShare: (moment) => (moment > end - 2 * hour && moment < end - 1.5 * hour ? 0.16 : 0.006),
  };
}

export const eventTypes: Readonly<Record<string, number>> = {
  page_view: 0.46,
  button_click: 0.3,
  query_executed: 0.1,
  form_submit: 0.06,
  "report.shared": 0.04,
  export_triggered: 0.025,
  preference_changed: 0.015,
};

export const pageShares: Readonly<Record<string, number>> = {
  "/home": 0.34,
  "/orders": 0.22,
  "/orders/{id}": 0.16,
  "/reports": 0.12,
  "/reports/{id}": 0.08,
  "/customers": 0.05,
  "/settings": 0.03,
};

export const elementShares: Readonly<Record<string, number>> = {
  "save-order": 0.31,
  "run-query": 0.27,
  "open-report": 0.18,
  "export-csv": 0.13,
  "button.Add a customer": 0.07,
  "theme-toggle": 0.04,
};
