import { ChartPanel } from "@/charts/chart-panel";
import { eventSeries } from "@/charts/series";
import { TallyPanel } from "@/charts/tally-panel";
import { count } from "@/format/number";
import { useLoad } from "@/state/load";
import { useView } from "@/state/location";
import { bucketQuery, commonQuery, keyOf } from "@/state/query";
import { onPage } from "@/state/view";
import { useViewer } from "@/state/viewer";
import { Loadable } from "@/ui/loadable";
import { PageHead } from "@/ui/page-head";
import { RangeBar } from "@/ui/range-bar";

import { loadOverTime, type OverTime } from "../api/over-time";
import { loadPerformance } from "../api/performance";
import { loadUsageSummary, type UsageSummary } from "../api/usage";
import { Cards } from "./cards";
import { EndpointTable } from "./endpoint-table";
import { NoData } from "./no-data";
import { PerformanceCharts } from "./performance-charts";

/** Is it healthy, what is slow, who is affected, since when: in that order. */
export function MetricsPage() {
  const { view } = useView();
  const { development } = useViewer();
  const common = { ...commonQuery(view), method: view.method };
  const bucketed = { ...bucketQuery(view), method: view.method };
  const usageQuery = commonQuery(view);

  const performance = useLoad(keyOf(common), (signal) => loadPerformance(common, signal));
  const overTime = useLoad(keyOf(bucketed), (signal) => loadOverTime(bucketed, signal));
  const usage = useLoad(keyOf(usageQuery), (signal) => loadUsageSummary(usageQuery, signal));

  const nothing = performance.data?.totals.requests === 0 && usage.data?.events === 0;
  return (
    <>
      <PageHead title="Application Metrics" completeTo={performance.data?.trust.completeTo ?? null}>
        <RangeBar />
      </PageHead>
      {nothing ? (
        <NoData view={view} development={development} />
      ) : (
        <>
          <Loadable loaded={performance} what="performance metrics" className="h-64 sm:h-33 xl:h-33">
            {(data) => <Cards performance={data} points={overTime.data?.points ?? []} />}
          </Loadable>
          <Loadable loaded={overTime} what="time series" className="h-[39.25rem]">
            {(data) => <PerformanceCharts overTime={data} />}
          </Loadable>
          <Loadable loaded={performance} what="endpoints" className="h-96">
            {(data) => <EndpointTable endpoints={data.endpoints} trust={data.trust} />}
          </Loadable>
          <UsageCharts overTime={overTime} usage={usage} />
        </>
      )}
    </>
  );
}

interface UsageChartsProps {
  readonly overTime: ReturnType<typeof useLoad<OverTime>>;
  readonly usage: ReturnType<typeof useLoad<UsageSummary>>;
}

function UsageCharts({ overTime, usage }: UsageChartsProps) {
  const { view } = useView();
  return (
    <>
      <Loadable loaded={overTime} what="events over time" className="h-72">
        {(data) => <EventChart overTime={data} types={usage.data?.types.map(({ name }) => name) ?? []} />}
      </Loadable>
      <Loadable loaded={usage} what="usage metrics" className="h-96">
        {(data) => (
          <div className="grid gap-4 lg:grid-cols-2">
            <TallyPanel name="types" title="Events by type" of="Type" tallies={data.types} trust={data.trust} to={(type) => onPage(view, "event", { eventType: type })} />
            <TallyPanel name="pages" title="Page views" of="Page" tallies={data.pages} trust={data.trust} />
          </div>
        )}
      </Loadable>
    </>
  );
}

function EventChart({ overTime, types }: { readonly overTime: OverTime; readonly types: readonly string[] }) {
  const events = overTime.points.reduce((sum, point) => sum + (point.events ?? 0), 0);
  return (
    <ChartPanel
      name="events"
      title="Events over time"
      label={`Events over time by type, ${count(events)} events`}
      points={overTime.points}
      interval={overTime.interval}
      series={eventSeries(types)}
      trust={{ ...overTime.trust, n: events }}
      figures="counts"
      axis={count}
      height="h-60"
    />
  );
}
