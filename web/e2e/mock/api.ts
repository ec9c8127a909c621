import type { components } from "../../src/api/schema.gen.ts";
import { endpointRows, head, metrics, people, points, requests, sources, totalOf, usageParts, type Asked } from "./answers.ts";
import { pipeline, deadLetter, deadLetters } from "./pipeline.ts";
import type { World } from "./world.ts";

type Wire = components["schemas"];
type Answer = (question: Asked, world: World) => unknown;

/** Every read of the contract, answered from the world. */
export const answers: Readonly<Record<string, Answer>> = {
  "/api/v1/me": (): Wire["Me"] => ({ user_id: "dev@localhost", is_admin: true, auth_mode: "dev", version: "mock" }),
  "/api/v1/apps": (question, world): Wire["AppList"] => ({
    apps: [...new Set(world.endpoints.map(({ app }) => app))].map((app) => ({
      app,
      last_seen: world.now.toISOString(),
      endpoints: world.endpoints.filter((one) => one.app === app).length,
      events: 100,
      requests: totalOf(points(question, world), "total_requests"),
    })),
  }),
  "/api/v1/metrics/performance": (question, world): Wire["Performance"] => {
    const list = points(question, world);
    const totals = metrics(list, world);
    return {
      ...head(question),
      metrics: totals,
      ...(question.range === "90d" ? {} : { previous: { ...before(question), sources: sources(question, world, totals.total_requests), metrics: { ...metrics(list, world, 0.89), avg_response_time_ms: totals.avg_response_time_ms * 1.08 } } }),
      endpoints: endpointRows(question, world),
      trend_slice_seconds: 3600,
      sources: sources(question, world, totals.total_requests),
    };
  },
  "/api/v1/metrics/time-series": (question, world): Wire["TimeSeries"] => {
    const list = points(question, world);
    return {
      ...head(question),
      interval: question.interval,
      data_points: list,
      deploys: [{ timestamp: new Date(world.now.getTime() - 5 * 3_600_000).toISOString(), app: "orders-api", app_version: "1.42.0" }],
      sources: sources(question, world, totalOf(list, "total_requests")),
    };
  },
  "/api/v1/metrics/usage": (question, world): Wire["Usage"] => {
    const list = points(question, world);
    const total = totalOf(list, "total_events");
    const { types, pages, elements } = usageParts(total);
    return {
      ...head(question),
      metrics: { total_events: total, unique_users: 148, active_users_current_hour: 42, success_rate: 0.987 },
      event_distribution: types,
      page_views: pages,
      page_list: whole(pages),
      elements,
      element_list: whole(elements),
      top_users: people(world, 30),
      interval: question.interval,
      active_users: list.map(({ timestamp, complete, active_users }) => ({ timestamp, complete, active_users: active_users ?? 0 })),
      sources: sources(question, world, total),
    };
  },
  "/api/v1/metrics/endpoint": (question, world): Wire["EndpointDetail"] => {
    const list = points(question, world);
    const totals = metrics(list, world, 1);
    return {
      ...head(question),
      endpoint: question.parameters.get("endpoint") ?? "",
      method: question.parameters.get("method") ?? "",
      metrics: totals,
      status_codes: { "200": totals.total_requests - totals.error_count, "404": Math.floor(totals.error_count * 0.3), "500": Math.ceil(totals.error_count * 0.7) },
      error_types: { DatabaseTimeout: Math.ceil(totals.error_count * 0.7), NotFound: Math.floor(totals.error_count * 0.3) },
      error_type_list: { listed: 2, distinct: 2, other: 0 },
      users_affected: 37,
      users: people(world, 12),
      slowest_requests: requests(question, world, 20).sort((a, b) => b.response_time_ms - a.response_time_ms),
      interval: question.interval,
      data_points: list,
      sources: sources(question, world, totals.total_requests),
    };
  },
  "/api/v1/metrics/event": (question, world): Wire["EventDetail"] => {
    const list = points(question, world);
    const total = totalOf(list, "total_events");
    const { pages, elements } = usageParts(total);
    return {
      ...head(question),
      event_type: question.parameters.get("event_type") ?? "",
      metrics: { total_events: total, unique_users: 120, active_users_current_hour: 42, success_rate: 0.991 },
      pages,
      page_list: whole(pages),
      elements,
      element_list: whole(elements),
      users: people(world, 20),
      interval: question.interval,
      data_points: list,
      sources: sources(question, world, total),
    };
  },
  "/api/v1/metrics/requests": (question, world): Wire["RequestList"] => {
    const rows = requests(question, world, Number(question.parameters.get("limit") ?? 100));
    if (question.parameters.get("order") === "slowest") rows.sort((a, b) => b.response_time_ms - a.response_time_ms);
    return { ...head(question), requests: rows, truncated: true, sources: sources(question, world, rows.length) };
  },
  "/api/v1/metrics/features": (question, world): Wire["FeatureList"] => ({
    ...head(question),
    features: ["save-order", "run-query", "open-report", "export-csv"].map((element, index) => ({
      app: "orders-api",
      event_type: "button_click",
      page_name: "/orders",
      element_id: element,
      interactions: 900 - 180 * index,
      users: 37 + index,
      requests: 1800 - 300 * index,
      error_rate: index === 1 ? 0.021 : 0,
      p50_response_time_ms: 180 * (index + 1),
      p95_response_time_ms: 780 * (index + 1),
      slowest_endpoint: "/api/v1/queries",
      slowest_method: "POST",
    })),
    sources: sources(question, world, 2520),
  }),
  "/api/v1/admin/apps": (): Wire["AdminAppList"] => ({ apps: [] }),
  "/api/v1/pipeline": (_question, world) => pipeline(world.now),
  "/api/v1/pipeline/dead": (_question, world) => deadLetters(world.now),
  "/api/v1/pipeline/dead/3": (_question, world) => deadLetter(world.now),
};

const whole = (list: Readonly<Record<string, number>>) => ({ listed: Object.keys(list).length, distinct: Object.keys(list).length, other: 0 });

function before({ start, end }: Asked) {
  const length = end.getTime() - start.getTime();
  return { start_time: new Date(start.getTime() - length).toISOString(), end_time: start.toISOString() };
}
