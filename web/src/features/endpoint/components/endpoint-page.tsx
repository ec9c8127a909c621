import { ChartPanel } from "@/charts/chart-panel";
import { errorRateSeries, latencySeries, requestSeries } from "@/charts/series";
import { count, durationText } from "@/format/number";
import { nextBucket } from "@/series/grid";
import type { Point } from "@/series/point";
import { useLoad } from "@/state/load";
import { useView } from "@/state/location";
import { bucketQuery, keyOf } from "@/state/query";
import { onPage } from "@/state/view";
import { Badge } from "@/ui/kit";
import { Loadable } from "@/ui/loadable";
import { PageHead } from "@/ui/page-head";
import { PeoplePanel } from "@/ui/people-panel";
import { RangeBar } from "@/ui/range-bar";
import { RequestTable } from "@/ui/request-table";

import { loadEndpoint, type EndpointDetail } from "../api/endpoint";
import { Breakdown } from "./breakdown";
import { Facts } from "./facts";

/** One endpoint: how fast, how it fails, for whom, and the requests to look at. */
export default function EndpointPage() {
  const { view } = useView();
  const query = { ...bucketQuery(view), endpoint: view.endpoint, method: view.method };
  const loaded = useLoad(keyOf(query), (signal) => loadEndpoint(query, signal));
  const title = (
    <span className="flex flex-wrap items-center gap-2">
      <Badge variant="secondary" className="font-mono">
        {view.method}
      </Badge>
      {view.endpoint}
      {view.app !== "" && <span className="text-sm font-normal text-muted-foreground">{view.app}</span>}
    </span>
  );
  return (
    <>
      <PageHead title={title} completeTo={loaded.data?.trust.completeTo ?? null} parent={onPage(view, "metrics", { app: "" })}>
        <RangeBar />
      </PageHead>
      <Loadable loaded={loaded} what="the endpoint's metrics" className="h-[60rem]">
        {(data) => <Detail detail={data} />}
      </Loadable>
    </>
  );
}

function Detail({ detail }: { readonly detail: EndpointDetail }) {
  const { view, change } = useView();
  const { points, interval, trust } = detail;
  const all = [...latencySeries, ...requestSeries, errorRateSeries];
  const select = (first: Point, last: Point) => {
    const end = new Date(Math.min(nextBucket(last.time, interval).getTime(), Date.now()));
    const range = { kind: "custom", start: first.time, end } as const;
    const place = { range, endpoint: view.endpoint, method: view.method };
    change(first === last ? onPage(view, "requests", place) : { range });
  };
  const shared = { points, interval, trust, group: "endpoint", onSelect: select };
  return (
    <div className="flex flex-col gap-4">
      <Facts detail={detail} />
      <ChartPanel {...shared} name="response" title="Response time" label={`Response time of ${view.endpoint} over time`} series={latencySeries} tooltip={all} figures="percentiles" axis={durationText} height="h-64" />
      <ChartPanel
        {...shared}
        name="requests"
        title="Requests and errors"
        label={`Requests and errors of ${view.endpoint} over time: ${count(detail.requests)} requests`}
        series={requestSeries}
        tooltip={view.tables.includes("response") ? all : []}
        figures="counts"
        axis={count}
        height="h-44"
      />
      <Breakdown detail={detail} />
      <RequestTable name="slowest" title="Slowest requests" note="of the raw window" rows={detail.slowest} defaultSort="-milliseconds" trust={trust} />
      <PeoplePanel
        title="Users"
        note={`${count(detail.usersAffected)} met an error`}
        people={detail.people}
        trust={trust}
        to={(person) => onPage(view, "requests", { endpoint: view.endpoint, method: view.method, user: person.user })}
      />
    </div>
  );
}
