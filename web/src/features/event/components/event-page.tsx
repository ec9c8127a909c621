import { ChartPanel } from "@/charts/chart-panel";
import { eventCountSeries } from "@/charts/series";
import { TallyPanel } from "@/charts/tally-panel";
import { count, percent } from "@/format/number";
import { useLoad } from "@/state/load";
import { useView } from "@/state/location";
import { bucketQuery, keyOf } from "@/state/query";
import { onPage } from "@/state/view";
import { Loadable } from "@/ui/loadable";
import { PageHead } from "@/ui/page-head";
import { PeoplePanel } from "@/ui/people-panel";
import { RangeBar } from "@/ui/range-bar";
import { Tile, Tiles } from "@/ui/tiles";

import { loadEvent, type EventDetail } from "../api/event";

/** One type of event: when, where, and by whom. */
export default function EventPage() {
  const { view } = useView();
  const query = { ...bucketQuery(view), event_type: view.eventType };
  const loaded = useLoad(keyOf(query), (signal) => loadEvent(query, signal));
  return (
    <>
      <PageHead title={view.eventType} completeTo={loaded.data?.trust.completeTo ?? null} parent={onPage(view, "usage")}>
        <RangeBar />
      </PageHead>
      <Loadable loaded={loaded} what="the event's metrics" className="h-[50rem]">
        {(data) => <Detail detail={data} />}
      </Loadable>
    </>
  );
}

function Detail({ detail }: { readonly detail: EventDetail }) {
  const { view } = useView();
  const { trust } = detail;
  return (
    <div className="flex flex-col gap-4">
      <Tiles>
        <Tile name="Events">{count(detail.events)}</Tile>
        <Tile name="Users">{count(detail.users)}</Tile>
        <Tile name="Succeeded">{percent(detail.successRate)}</Tile>
      </Tiles>
      <ChartPanel
        name="events"
        title="Events over time"
        label={`${view.eventType} over time, ${count(detail.events)} events`}
        points={detail.points}
        interval={detail.interval}
        series={[eventCountSeries]}
        trust={trust}
        figures="counts"
        axis={count}
        height="h-60"
      />
      <div className="grid gap-4 lg:grid-cols-2">
        <TallyPanel name="pages" title="Pages" of="Page" tallies={detail.pages} trust={trust} />
        <TallyPanel name="elements" title="Elements" of="Element" tallies={detail.elements} trust={trust} note="raw window" />
      </div>
      <PeoplePanel title="Users" people={detail.people} trust={trust} />
    </div>
  );
}
