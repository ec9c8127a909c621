import { count, durationText } from "@/format/number";
import { time, utc } from "@/format/time";
import { cn } from "@/ui/kit";
import { DataTable, downloadTable, type Column } from "@/ui/data-table";
import { CsvButton, Panel } from "@/ui/panel";

import type { Run } from "../api/pipeline";

const number = (key: string, title: string, value: (row: Run) => number): Column<Run> => ({
  key,
  title,
  numeric: true,
  value,
  show: (row) => count(value(row)),
});

const bad = (run: Run) => run.status === "failed" || run.status === "partial";

const columns: Column<Run>[] = [
  { key: "started", title: "Started", value: (row) => row.started?.toISOString() ?? null, show: (row) => (row.started === null ? "waiting" : time(row.started, "moment")), hint: (row) => (row.started === null ? "" : utc(row.started)) },
  { key: "kind", title: "Kind", value: (row) => row.kind },
  { key: "status", title: "Outcome", value: (row) => row.status, show: (row) => <span className={cn(bad(row) && "text-destructive")}>{row.status}</span>, hint: (row) => row.failures.join("\n") },
  { key: "by", title: "Triggered by", value: (row) => `${row.trigger} ${row.by}`.trim(), className: "max-w-56 truncate" },
  { key: "duration_ms", title: "Took", numeric: true, value: (row) => row.milliseconds, show: (row) => durationText(row.milliseconds) },
  number("hours", "Hours", (row) => row.hoursDone),
  number("hours_failed", "Failed", (row) => row.hoursFailed),
  number("hours_differing", "Corrected", (row) => row.hoursDiffering),
  number("rows_read", "Rows read", (row) => row.read),
  number("rows_aggregated", "Aggregated", (row) => row.aggregated),
  number("rows_deleted", "Deleted", (row) => row.deleted),
  number("aggregates_deleted", "Aggregates deleted", (row) => row.aggregatesDeleted),
  { key: "failures", title: "Failures", value: (row) => row.failures.join("; "), className: "max-w-72 truncate", hint: (row) => row.failures.join("\n") },
];

interface Props {
  readonly runs: readonly Run[];
  readonly next: Date | null;
}

/** What each run did: the receipts. */
export function Runs({ runs, next }: Props) {
  return (
    <Panel
      title="Aggregation runs"
      note={next === null ? undefined : <span title={utc(next)}>next {time(next, "moment")}</span>}
      actions={<CsvButton of="Aggregation runs" onClick={() => downloadTable("runs", columns, runs)} />}
    >
      <DataTable name="runs" label="Aggregation runs" columns={columns} rows={runs} rowKey={(row) => row.id} defaultSort="-started" empty="No run yet: hours are summarised once they are over." className="max-h-96" />
    </Panel>
  );
}
