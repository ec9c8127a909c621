import { count, percent } from "@/format/number";
import { useView } from "@/state/location";
import { onPage, type StatusClass } from "@/state/view";
import { cn } from "@/ui/kit";
import { DataTable, downloadTable, type Column } from "@/ui/data-table";
import { CsvButton, Panel } from "@/ui/panel";

import type { EndpointDetail, ErrorCount, StatusCount } from "../api/endpoint";

/** How it answers, and how it fails. */
export function Breakdown({ detail }: { readonly detail: EndpointDetail }) {
  const { view } = useView();
  const here = onPage(view, "requests", { endpoint: view.endpoint, method: view.method });
  const statuses = statusColumns(detail.requests);
  const errors = errorColumns(detail.errorTypes);
  return (
    <div className="grid gap-4 lg:grid-cols-2">
      <Panel title="Status codes" actions={<CsvButton of="Status codes" onClick={() => downloadTable("status-codes", statuses, detail.statuses)} />}>
        <DataTable
          name="statuses"
          label="Status codes"
          columns={statuses}
          rows={detail.statuses}
          rowKey={(row) => String(row.status)}
          defaultSort="-count"
          to={(row) => ({ ...here, status: statusClass(row.status) })}
          empty="No requests in this range."
          className="max-h-80"
        />
      </Panel>
      <Panel title="Error types" note="raw window" actions={<CsvButton of="Error types" onClick={() => downloadTable("error-types", errors, detail.errorTypes)} />}>
        <DataTable
          name="errors"
          label="Error types"
          columns={errors}
          rows={detail.errorTypes}
          rowKey={(row) => row.type}
          defaultSort="-count"
          to={(row) => ({ ...here, status: "error", errorType: row.type })}
          empty="No errors in this range."
          className="max-h-80"
        />
      </Panel>
    </div>
  );
}

function statusClass(status: number): StatusClass | "" {
  const classes: Record<number, StatusClass> = { 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx" };
  return classes[Math.floor(status / 100)] ?? "";
}

function statusColumns(total: number): Column<StatusCount>[] {
  const share = (row: StatusCount) => row.count / Math.max(1, total);
  return [
    { key: "status", title: "Status", value: (row) => row.status, show: (row) => <span className={cn(row.status >= 400 && "text-destructive")}>{row.status}</span> },
    { key: "count", title: "Requests", numeric: true, value: (row) => row.count, show: (row) => count(row.count) },
    { key: "share", title: "Share", numeric: true, value: share, show: (row) => percent(share(row)) },
  ];
}

function errorColumns(rows: readonly ErrorCount[]): Column<ErrorCount>[] {
  const total = rows.reduce((sum, row) => sum + row.count, 0);
  const share = (row: ErrorCount) => row.count / Math.max(1, total);
  return [
    { key: "type", title: "Error type", value: (row) => row.type, show: (row) => row.type || "(unnamed)" },
    { key: "count", title: "Requests", numeric: true, value: (row) => row.count, show: (row) => count(row.count) },
    { key: "share", title: "Share", numeric: true, value: share, show: (row) => percent(share(row)) },
  ];
}
