import { count, durationText, milliseconds, percent } from "@/format/number";
import { cn } from "@/ui/kit";
import { DataTable, downloadTable, type Column } from "@/ui/data-table";
import { CsvButton, Panel } from "@/ui/panel";
import { SourceInfo } from "@/ui/source-info";

import type { Feature, Features } from "../api/features";

const columns: Column<Feature>[] = [
  { key: "element", title: "Element", value: (row) => row.element, className: "max-w-64 truncate" },
  { key: "page", title: "Page", value: (row) => row.page, className: "max-w-48 truncate" },
  { key: "app", title: "App", value: (row) => row.app },
  { key: "interactions", title: "Used", numeric: true, value: (row) => row.interactions, show: (row) => count(row.interactions) },
  { key: "users", title: "Users", numeric: true, value: (row) => row.users, show: (row) => count(row.users) },
  { key: "p50", title: "p50 ms", numeric: true, value: (row) => row.p50, show: (row) => milliseconds(row.p50), hint: (row) => durationText(row.p50) },
  { key: "p95", title: "p95 ms", numeric: true, value: (row) => row.p95, show: (row) => milliseconds(row.p95), hint: (row) => durationText(row.p95) },
  {
    key: "error_rate",
    title: "Failed",
    numeric: true,
    value: (row) => row.errorRate,
    show: (row) => <span className={cn(row.errorRate > 0 && "text-destructive")}>{percent(row.errorRate)}</span>,
  },
  { key: "slowest", title: "Mostly waits for", value: (row) => row.slowest, className: "max-w-72 truncate" },
];

/** How long people wait after a click, by what they click. */
export function FeaturePanel({ features }: { readonly features: Features }) {
  return (
    <Panel
      title="Latency of features"
      note="slowest request caused by each click, raw window"
      actions={
        <>
          <SourceInfo of="Latency of features" trust={features.trust} figures="percentiles" />
          <CsvButton of="Latency of features" onClick={() => downloadTable("features", columns, features.rows)} />
        </>
      }
    >
      <DataTable
        name="features"
        label="Latency of features"
        columns={columns}
        rows={features.rows}
        rowKey={(row) => `${row.app} ${row.page} ${row.element} ${row.type}`}
        defaultSort="-interactions"
        empty="No click in this range is known to have caused a request. The tracker and the server middleware join them."
        className="max-h-96"
      />
    </Panel>
  );
}
