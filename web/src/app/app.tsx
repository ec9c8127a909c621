import { lazy, Suspense, useCallback, useEffect, useState } from "react";

import { Header } from "@/features/session/components/header";
import { loadApps, loadSession } from "@/features/session/api/session";
import { MetricsPage } from "@/features/metrics/components/metrics-page";
import { useLoad } from "@/state/load";
import { back, useView } from "@/state/location";
import { keyOf } from "@/state/query";
import { presets, rangeQuery } from "@/state/range";
import { RefreshProvider, useRefresh } from "@/state/refresh";
import { useShortcuts } from "@/state/shortcuts";
import { onPage, type Page } from "@/state/view";
import { ViewerContext, defaultViewer } from "@/state/viewer";
import { Denied, Failed } from "@/ui/states";
import { Toast } from "@/ui/toast";

import { pageShown } from "./telemetry";

const UsagePage = lazy(() => import("@/features/usage/components/usage-page"));
const PipelinePage = lazy(() => import("@/features/pipeline/components/pipeline-page"));
const DeadLetterPage = lazy(() => import("@/features/pipeline/components/dead-letter-page"));
const EndpointPage = lazy(() => import("@/features/endpoint/components/endpoint-page"));
const EventPage = lazy(() => import("@/features/event/components/event-page"));
const AppsPage = lazy(() => import("@/features/apps/components/apps-page"));
const RequestsPage = lazy(() => import("@/features/requests/components/requests-page"));

const pageOf = {
  metrics: MetricsPage,
  usage: UsagePage,
  pipeline: PipelinePage,
  endpoint: EndpointPage,
  event: EventPage,
  requests: RequestsPage,
  dead: DeadLetterPage,
  apps: AppsPage,
} as const satisfies Record<Page, unknown>;

const administration: readonly Page[] = ["pipeline", "dead", "apps"];

const parents: Partial<Record<Page, Page>> = { endpoint: "metrics", requests: "metrics", event: "usage", dead: "pipeline" };

export function App() {
  const [toast, setToast] = useState<string | null>(null);
  const failed = useCallback(() => setToast("Failed to refresh metrics. Please try again."), []);
  const close = useCallback(() => setToast(null), []);
  return (
    <RefreshProvider onFailure={failed}>
      <Shell />
      <Toast message={toast} onClose={close} />
    </RefreshProvider>
  );
}

function Shell() {
  const { view, change } = useView();
  const { refresh } = useRefresh();
  const session = useLoad("session", loadSession);
  const range = rangeQuery(view.range);
  const apps = useLoad(keyOf(range), (signal) => loadApps(range, signal));

  const parent = parents[view.page];
  useEffect(pageShown, [view.page]);
  useShortcuts({
    r: refresh,
    "/": () => document.querySelector<HTMLElement>("[data-filter]")?.focus(),
    Escape: () => parent !== undefined && back(onPage(view, parent)),
    ...Object.fromEntries(presets.map((preset, index) => [String(index + 1), () => change({ range: { kind: "preset", preset } })])),
  });

  // Somebody who is no administrator reads one app at a time, and nothing of the installation.
  const readable = session.data?.admin === false ? session.data.readableApps : null;
  const first = readable !== null && !readable.includes(view.app) ? readable[0] : undefined;
  useEffect(() => {
    if (first !== undefined) change({ app: first }, "replace");
  }, [first, change]);

  const kind = session.failure?.kind;
  if (readable?.length === 0 || kind === "forbidden" || apps.failure?.kind === "forbidden") return <Denied />;
  if (session.failure !== null && !session.loading) {
    const title = kind === "unauthorized" ? "You are not signed in" : "Unable to verify admin privileges";
    return <Failed title={title} reason={session.failure.message} onRetry={refresh} />;
  }

  const Current = readable !== null && administration.includes(view.page) ? Denied : pageOf[view.page];
  return (
    <ViewerContext value={session.data ?? defaultViewer}>
      <Header user={session.data?.user ?? null} apps={readable ?? apps.data ?? []} admin={readable === null} />
      <main className="mx-auto flex max-w-[1760px] flex-col gap-4 px-4 py-4 sm:px-6">
        <Suspense fallback={<div className="min-h-screen" />}>
          <Current key={view.page} />
        </Suspense>
      </main>
    </ViewerContext>
  );
}
