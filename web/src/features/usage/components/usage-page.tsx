import { ChartPanel } from "@/charts/chart-panel";
import { activeUsersSeries, eventSeries } from "@/charts/series";
import { TallyPanel } from "@/charts/tally-panel";
import { count } from "@/format/number";
import { useLoad } from "@/state/load";
import { useView } from "@/state/location";
import { bucketQuery, keyOf } from "@/state/query";
import { rangeQuery } from "@/state/range";
import { onPage } from "@/state/view";
import { Loadable } from "@/ui/loadable";
import { PageHead } from "@/ui/page-head";
import { PeoplePanel } from "@/ui/people-panel";
import { RangeBar } from "@/ui/range-bar";
import { Select } from "@/ui/select";

import { loadFeatures } from "../api/features";
import { loadEvents, loadUsage, type Usage } from "../api/usage";
import { FeaturePanel } from "./feature-panel";
import { Summary } from "./summary";

/** Who uses what, and what it costs them. */
export default function UsagePage() {
  const { view, change } = useView();
  const query = { ...bucketQuery(view), event_type: view.eventType };
  const featureQuery = { ...rangeQuery(view.range), app: view.app };
  const usage = useLoad(keyOf(query), (signal) => loadUsage(query, signal));
  const events = useLoad(`events ${keyOf(query)}`, (signal) => loadEvents(query, signal));
  const features = useLoad(keyOf(featureQuery), (signal) => loadFeatures(featureQuery, signal));
  const types = usage.data?.types.map(({ name }) => name) ?? [];
  const options = [{ value: "", text: "All event types" }, ...types.map((type) => ({ value: type, text: type }))];

  return (
    <>
      <PageHead title="Usage" completeTo={usage.data?.trust.completeTo ?? null}>
        <RangeBar />
        <Select label="Event type" value={view.eventType} options={options} onChange={(eventType) => change({ eventType })} />
      </PageHead>
      <Loadable loaded={usage} what="usage metrics" className="h-20">
        {(data) => <Summary usage={data} />}
      </Loadable>
      <Loadable loaded={events} what="events over time" className="h-72">
        {(data) => (
          <ChartPanel
            {...data}
            name="events"
            title="Events over time"
            label={`Events over time by type, ${count(data.points.reduce((sum, point) => sum + (point.events ?? 0), 0))} events`}
            series={eventSeries(types)}
            figures="counts"
            axis={count}
            height="h-60"
          />
        )}
      </Loadable>
      <Loadable loaded={usage} what="usage metrics" className="h-[54rem]">
        {(data) => <Lists usage={data} />}
      </Loadable>
      <Loadable loaded={features} what="feature latency" className="h-72">
        {(data) => <FeaturePanel features={data} />}
      </Loadable>
    </>
  );
}

function Lists({ usage }: { readonly usage: Usage }) {
  const { view } = useView();
  const { trust, interval } = usage;
  return (
    <div className="flex flex-col gap-4">
      <ChartPanel
        name="active-users"
        title="Active users"
        label="Active users over time: distinct users with requests or events in each bucket"
        points={usage.activeUsers}
        interval={interval}
        series={[activeUsersSeries]}
        trust={trust}
        figures="users"
        axis={count}
        height="h-52"
      />
      <div className="grid gap-4 lg:grid-cols-3">
        <TallyPanel name="types" title="Events by type" of="Type" tallies={usage.types} trust={trust} to={(eventType) => onPage(view, "event", { eventType })} />
        <TallyPanel name="pages" title="Page views" of="Page" tallies={usage.pages} trust={trust} />
        <TallyPanel name="elements" title="Elements" of="Element" tallies={usage.elements} trust={trust} note="raw window" />
      </div>
      <PeoplePanel title="Most active users" people={usage.people} trust={trust} to={(person) => onPage(view, "requests", { user: person.user })} />
    </div>
  );
}
