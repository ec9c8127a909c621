import type { Tally } from "@/api/map";
import { count } from "@/format/number";
import { time, utc } from "@/format/time";
import { DataTable, downloadTable, type Column } from "@/ui/data-table";
import { CsvButton, Panel } from "@/ui/panel";

import type { Pipeline } from "../api/pipeline";

const columns: Column<Tally>[] = [
  { key: "reason", title: "What became of them", value: (row) => row.name },
  { key: "events", title: "Events", numeric: true, value: (row) => row.count, show: (row) => count(row.count) },
];

/** The ledger: what came, what was stored, and what was not and why. */
export function Refusals({ pipeline }: { readonly pipeline: Pipeline }) {
  const rows: Tally[] = [
    { name: "accepted", count: pipeline.accepted },
    { name: "stored", count: pipeline.stored },
    { name: "dropped by senders, as they report", count: pipeline.clientDropped },
    { name: "arrived after their hour was summarised", count: pipeline.alreadySummarised },
    ...pipeline.refused.map(({ name, count: events }) => ({ name: `refused: ${name}`, count: events })),
  ];
  return (
    <Panel
      title="Ledger of events"
      note={<span title={utc(pipeline.since)}>since {time(pipeline.since, "moment")}</span>}
      actions={<CsvButton of="Ledger of events" onClick={() => downloadTable("ledger", columns, rows)} />}
    >
      <DataTable name="ledger" label="Ledger of events" columns={columns} rows={rows} rowKey={(row) => row.name} defaultSort="-events" empty="" />
    </Panel>
  );
}
