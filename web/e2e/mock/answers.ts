import type { components } from "../../src/api/schema.gen.ts";
import { chance, elementShares, eventTypes, pageShares, type Endpoint, type World } from "./world.ts";

type Wire = components["schemas"];

const hour = 3_600_000;
const day = 24 * hour;
const lengths = { "24h": day, "7d": 7 * day, "30d": 30 * day, "90d": 90 * day } as const;

export interface Asked {
  readonly range: Wire["TimeRangeName"];
  readonly start: Date;
  readonly end: Date;
  readonly interval: Wire["Interval"];
  readonly parameters: URLSearchParams;
}

export function asked(parameters: URLSearchParams, now: Date): Asked {
  const name = (parameters.get("time_range") ?? "24h") as keyof typeof lengths;
  const [from, to] = [parameters.get("start"), parameters.get("end")];
  const custom = from !== null && to !== null;
  const end = custom ? new Date(to) : now;
  const start = custom ? new Date(from) : new Date(now.getTime() - lengths[name]);
  const long = end.getTime() - start.getTime() > day;
  const interval = (parameters.get("interval") as Wire["Interval"] | null) ?? (long ? "hourly" : "5min");
  return { range: custom ? "custom" : name, start, end, interval, parameters };
}

const iso = (moment: number | Date) => new Date(moment).toISOString();
const rounded = (value: number) => Math.round(value * 100) / 100;

export function head({ range, start, end }: Asked) {
  return { time_range: range, start_time: iso(start), end_time: iso(end) };
}

export function sources({ start, end }: Asked, world: World, n: number): Wire["Provenance"] {
  const rawFrom = Math.max(start.getTime(), world.now.getTime() - 7 * day);
  const aggregated = start.getTime() < rawFrom || end.getTime() - start.getTime() > day;
  const precision: Wire["Precision"] = aggregated ? { kind: "bounded", relative_error: 0.01 } : { kind: "exact", relative_error: 0 };
  return {
    complete_to: iso(world.now.getTime() - 800),
    ...(aggregated ? { aggregated_from: iso(start) } : {}),
    raw_from: iso(rawFrom),
    alignment: "none",
    effective_start: iso(start),
    effective_end: iso(end),
    n,
    percentiles: precision,
    users: { kind: "exact", relative_error: 0 },
  };
}

function matching(world: World, { parameters }: Asked): Endpoint[] {
  const wanted = (field: "app" | "endpoint" | "method") => parameters.get(field) ?? "";
  return world.endpoints.filter(
    (one) =>
      ["", one.app].includes(wanted("app")) && ["", one.endpoint].includes(wanted("endpoint")) && ["", one.method].includes(wanted("method")),
  );
}

function bucketsOf({ start, end, interval }: Asked): number[] {
  const step = interval === "5min" ? hour / 12 : hour;
  const found: number[] = [];
  for (let at = new Date(start); at < end && found.length < 5000; ) {
    const begin = interval === "daily" ? new Date(at.getFullYear(), at.getMonth(), at.getDate()) : new Date(Math.floor(at.getTime() / step) * step);
    found.push(begin.getTime());
    at = interval === "daily" ? new Date(begin.getFullYear(), begin.getMonth(), begin.getDate() + 1) : new Date(begin.getTime() + step);
  }
  return found;
}

export function points(question: Asked, world: World): Wire["DataPoint"][] {
  const all = world.endpoints.reduce((sum, one) => sum + one.weight, 0);
  const chosen = matching(world, question);
  const share = chosen.reduce((sum, one) => sum + one.weight, 0) / all;
  const base = chosen.reduce((sum, one) => sum + one.weight * one.base, 0) / Math.max(1e-9, chosen.reduce((sum, one) => sum + one.weight, 0));
  const starts = bucketsOf(question);
  return starts.flatMap((at, index) => {
    const until = Math.min(starts[index + 1] ?? question.end.getTime(), question.end.getTime());
    const random = chance(at / 60_000);
    const middle = (at + until) / 2;
    const seconds = (until - at) / 1000;
    const load = question.interval === "daily" ? (world.load(at + 12 * hour) || 1) * 0.45 : world.load(middle);
    const requests = Math.round(load * share * seconds * (0.85 + 0.3 * random()));
    if (requests === 0) return [];
    const slow = question.interval === "daily" ? 1 : world.slowdown(middle);
    const p50 = base * slow * (0.9 + 0.2 * random());
    const errors = Math.round(requests * world.errorShare(middle) * (0.6 + 0.8 * random()));
    const events = Math.round(requests * 0.3);
    return [
      {
        timestamp: iso(at),
        complete: until < question.end.getTime() || question.range === "custom",
        avg_response_time_ms: rounded(p50 * 1.4),
        p50_response_time_ms: rounded(p50),
        p95_response_time_ms: rounded(p50 * (3.5 + random())),
        p99_response_time_ms: rounded(p50 * (7 + 4 * random())),
        total_requests: requests,
        error_count: errors,
        error_rate: errors / requests,
        active_users: Math.min(world.users.length, Math.ceil(requests / 18)),
        total_events: events,
        unique_users: Math.min(world.users.length, Math.ceil(requests / 20)),
        events_by_type: Object.fromEntries(Object.entries(eventTypes).map(([type, part]) => [type, Math.round(events * part)])),
      },
    ];
  });
}

const sum = (list: readonly Wire["DataPoint"][], field: "total_requests" | "error_count" | "total_events") =>
  list.reduce((total, point) => total + (point[field] ?? 0), 0);

export function metrics(list: readonly Wire["DataPoint"][], world: World, scale = 1): Wire["PerformanceMetrics"] {
  const requests = Math.round(sum(list, "total_requests") * scale);
  const errors = Math.round(sum(list, "error_count") * scale);
  const mean = (field: "avg_response_time_ms" | "p50_response_time_ms" | "p95_response_time_ms" | "p99_response_time_ms") =>
    list.length === 0 ? 0 : rounded(list.reduce((total, point) => total + (point[field] ?? 0), 0) / list.length);
  return {
    avg_response_time_ms: mean("avg_response_time_ms"),
    min_response_time_ms: requests === 0 ? 0 : 0.8,
    max_response_time_ms: mean("p99_response_time_ms") * 3,
    p50_response_time_ms: mean("p50_response_time_ms"),
    p95_response_time_ms: mean("p95_response_time_ms"),
    p99_response_time_ms: mean("p99_response_time_ms"),
    total_requests: requests,
    error_count: errors,
    error_rate: requests === 0 ? 0 : errors / requests,
    active_users: requests === 0 ? 0 : Math.round(world.users.length * scale),
    anonymous_requests: Math.round(requests * 0.04),
  };
}

export function endpointRows(question: Asked, world: World): Wire["EndpointMetrics"][] {
  const whole = points({ ...question, parameters: new URLSearchParams() }, world);
  const requests = sum(whole, "total_requests");
  const all = world.endpoints.reduce((total, one) => total + one.weight, 0);
  return matching(world, question)
    .map((one, index) => {
      const random = chance(index + 1);
      const count = Math.round((requests * one.weight) / all) || 7;
      const errors = Math.min(count, Math.round(count * one.errors));
      return {
        app: one.app,
        endpoint: one.endpoint,
        method: one.method,
        avg_response_time_ms: rounded(one.base * 1.5),
        min_response_time_ms: rounded(one.base * 0.2),
        max_response_time_ms: rounded(one.base * 30),
        p50_response_time_ms: rounded(one.base),
        p95_response_time_ms: rounded(one.base * (3 + 2 * random())),
        p99_response_time_ms: rounded(one.base * (7 + 9 * random())),
        request_count: count,
        error_count: errors,
        error_rate: errors / count,
        trend: Array.from({ length: 24 }, (_, slice) =>
          Math.round(count * 0.1 * world.load(question.start.getTime() + ((question.end.getTime() - question.start.getTime()) * slice) / 24) * (0.7 + 0.6 * random())),
        ),
      };
    })
    .sort((a, b) => b.request_count - a.request_count);
}

const split = (total: number, shares: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(shares).map(([name, part]) => [name, Math.round(total * part)]));

export function people(world: World, many: number): Wire["UserActivity"][] {
  return world.users.slice(0, many).map((user, index) => ({
    user_id: user,
    requests: Math.round(4200 / (index + 1)),
    errors: Math.round(40 / (index + 1)),
    events: Math.round(1300 / (index + 1)),
    last_seen: iso(world.now.getTime() - index * 480_000),
  }));
}

export function usageParts(total: number) {
  return { types: split(total, eventTypes), pages: split(Math.round(total * 0.46), pageShares), elements: split(Math.round(total * 0.3), elementShares) };
}

export function requests(question: Asked, world: World, limit: number): Wire["RequestRecord"][] {
  const random = chance(99);
  const list = matching(world, question);
  const status = question.parameters.get("status_class") ?? "";
  const from = Math.max(question.start.getTime(), world.now.getTime() - 7 * day);
  const step = Math.max(1, question.end.getTime() - from) / limit;
  return Array.from({ length: list.length === 0 ? 0 : limit }, (_, index) => {
    const one = list[Math.floor(random() * list.length)] as Endpoint;
    const failed = ["error", "4xx", "5xx"].includes(status) || (status === "" && random() < 0.02);
    const code = !failed ? 200 : status === "4xx" || random() < 0.4 ? 404 : 500;
    return {
      id: `018f0000-0000-7000-8000-${String(index).padStart(12, "0")}`,
      timestamp: iso(question.end.getTime() - index * step - 1),
      received_at: iso(question.end.getTime() - index * step + 40),
      app: one.app,
      instance: "orders-api-7d9f",
      endpoint: one.endpoint,
      method: one.method,
      status_code: code,
      response_time_ms: rounded(one.base * (0.4 + 6 * random() ** 4)),
      ...(random() < 0.04 ? {} : { user_id: world.users[Math.floor(random() * world.users.length)] as string }),
      ...(failed ? { error_type: code === 500 ? "DatabaseTimeout" : "NotFound" } : {}),
      app_version: "1.42.0",
      interaction_id: `click-${Math.floor(random() * 900)}`,
    };
  });
}

export const totalOf = sum;
