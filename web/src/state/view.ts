import { intervals, type Interval } from "@/series/interval";

import { defaultRange, isPreset, type Range } from "./range";

export const pages = ["metrics", "usage", "pipeline", "endpoint", "event", "requests", "dead", "apps"] as const;
export type Page = (typeof pages)[number];

export const statusClasses = ["error", "2xx", "3xx", "4xx", "5xx"] as const;
export type StatusClass = (typeof statusClasses)[number];

/** Everything that decides what is on screen. It lives in the URL and nowhere else: a link reproduces the view. */
export interface View {
  readonly page: Page;
  readonly range: Range;
  /** Width of the buckets; empty leaves it to the range. */
  readonly bucket: Interval | "";
  readonly app: string;
  readonly endpoint: string;
  readonly method: string;
  readonly eventType: string;
  readonly status: StatusClass | "";
  readonly errorType: string;
  readonly user: string;
  readonly interaction: string;
  readonly order: "recent" | "slowest";
  readonly includeAnonymous: boolean;
  readonly exact: boolean;
  /** Text filters of tables, by table. */
  readonly filter: Readonly<Record<string, string>>;
  /** Sort column of tables, by table; a leading minus is descending. */
  readonly sort: Readonly<Record<string, string>>;
  /** Charts shown as tables. */
  readonly tables: readonly string[];
  /** Series left out of the charts. */
  readonly hidden: readonly string[];
  /** The dead letter being read. */
  readonly sequence: string;
}

export const defaultView: View = {
  page: "metrics",
  range: defaultRange,
  bucket: "",
  app: "",
  endpoint: "",
  method: "",
  eventType: "",
  status: "",
  errorType: "",
  user: "",
  interaction: "",
  order: "recent",
  includeAnonymous: false,
  exact: false,
  filter: {},
  sort: {},
  tables: [],
  hidden: [],
  sequence: "",
};

const textFields = ["app", "endpoint", "method", "user", "interaction", "sequence"] as const;

export function parseView(search: string): View {
  const parameters = new URLSearchParams(search);
  const text = (name: string) => parameters.get(name) ?? "";
  return {
    page: pages.find((page) => page === text("view")) ?? defaultView.page,
    range: parseRange(parameters),
    bucket: intervals.find((interval) => interval === text("bucket")) ?? "",
    app: text("app"),
    endpoint: text("endpoint"),
    method: text("method"),
    eventType: text("event_type"),
    status: statusClasses.find((status) => status === text("status")) ?? "",
    errorType: text("error_type"),
    user: text("user"),
    interaction: text("interaction"),
    order: text("order") === "slowest" ? "slowest" : "recent",
    includeAnonymous: text("anonymous") === "1",
    exact: text("exact") === "1",
    filter: prefixed(parameters, "filter."),
    sort: prefixed(parameters, "sort."),
    tables: list(text("tables")),
    hidden: list(text("hide")),
    sequence: text("sequence"),
  };
}

const list = (text: string) => text.split(",").filter(Boolean);

/** The list with `item` in it if it was not, without it if it was. */
export function toggled(items: readonly string[], item: string): string[] {
  return items.includes(item) ? items.filter((other) => other !== item) : [...items, item];
}

/** The query string of a view, defaults left out so that links stay short. */
export function formatView(view: View): string {
  const parameters = new URLSearchParams();
  const put = (name: string, value: string) => value !== "" && parameters.set(name, value);
  if (view.page !== defaultView.page) put("view", view.page);
  if (view.range.kind === "custom") {
    put("start", view.range.start.toISOString());
    put("end", view.range.end.toISOString());
  } else if (view.range.preset !== "24h") {
    put("range", view.range.preset);
  }
  put("bucket", view.bucket);
  for (const field of textFields) put(field, view[field]);
  put("event_type", view.eventType);
  put("error_type", view.errorType);
  put("status", view.status);
  if (view.order !== defaultView.order) put("order", view.order);
  if (view.includeAnonymous) put("anonymous", "1");
  if (view.exact) put("exact", "1");
  for (const [table, value] of Object.entries(view.filter)) put(`filter.${table}`, value);
  for (const [table, value] of Object.entries(view.sort)) put(`sort.${table}`, value);
  put("tables", view.tables.join(","));
  put("hide", view.hidden.join(","));
  const query = parameters.toString();
  return query === "" ? "" : `?${query}`;
}

function prefixed(parameters: URLSearchParams, prefix: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of parameters) {
    if (name.startsWith(prefix) && value !== "") found[name.slice(prefix.length)] = value;
  }
  return found;
}

function parseRange(parameters: URLSearchParams): Range {
  const start = new Date(parameters.get("start") ?? "");
  const end = new Date(parameters.get("end") ?? "");
  if (!Number.isNaN(start.getTime()) && !Number.isNaN(end.getTime()) && start < end) {
    return { kind: "custom", start, end };
  }
  const preset = parameters.get("range");
  return isPreset(preset) ? { kind: "preset", preset } : defaultRange;
}

/** A view of another page that keeps what was chosen for all pages: range, app and the counting of anonymous users. */
export function onPage(view: View, page: Page, patch: Partial<View> = {}): View {
  return {
    ...defaultView,
    range: view.range,
    bucket: view.bucket,
    app: view.app,
    includeAnonymous: view.includeAnonymous,
    exact: view.exact,
    page,
    ...patch,
  };
}
