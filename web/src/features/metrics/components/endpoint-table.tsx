import { useMemo } from "react";

import { count, durationText, milliseconds, percent } from "@/format/number";
import { enoughForP99 } from "@/series/point";
import type { Trust } from "@/series/trust";
import { useView } from "@/state/location";
import { onPage } from "@/state/view";
import { Badge, cn } from "@/ui/kit";
import { DataTable, downloadTable, type Column } from "@/ui/data-table";
import { FilterField } from "@/ui/filter-field";
import { CsvButton, Panel } from "@/ui/panel";
import { Select } from "@/ui/select";
import { SourceInfo } from "@/ui/source-info";
import { Sparkline } from "@/ui/sparkline";
import { useTableState } from "@/ui/table-state";

import type { EndpointRow } from "../api/performance";

interface Props {
  readonly endpoints: readonly EndpointRow[];
  readonly trust: Trust;
}

/** Every endpoint, no pages. */
export function EndpointTable({ endpoints, trust }: Props) {
  const { view, change } = useView();
  const { filter, setFilter } = useTableState("endpoints", "-requests");
  const apps = useMemo(() => new Set(endpoints.map(({ app }) => app)), [endpoints]);
  const columns = useMemo(() => endpointColumns(apps.size > 1), [apps.size]);
  const failing = view.status === "error";
  const rows = useMemo(() => {
    const wanted = filter.trim().toLowerCase();
    return endpoints.filter((row) => `${row.method} ${row.endpoint} ${row.app}`.toLowerCase().includes(wanted) && (!failing || row.errors > 0));
  }, [endpoints, filter, failing]);

  return (
    <Panel
      title="Endpoints"
      note={rows.length === endpoints.length ? `${endpoints.length}` : `${rows.length} of ${endpoints.length}`}
      actions={
        <>
          <FilterField label="Filter endpoints" value={filter} onChange={setFilter} />
          <MethodFilter endpoints={endpoints} />
          <label className="mx-1 inline-flex items-center gap-1.5 text-xs whitespace-nowrap text-muted-foreground">
            <input type="checkbox" checked={failing} onChange={(event) => change({ status: event.target.checked ? "error" : "" })} className="size-3.5 accent-primary" />
            with errors
          </label>
          <SourceInfo of="Endpoints" trust={trust} figures="percentiles" />
          <CsvButton of="Endpoints" onClick={() => downloadTable("endpoints", columns, rows)} />
        </>
      }
    >
      <DataTable
        name="endpoints"
        label="Endpoints"
        columns={columns}
        rows={rows}
        rowKey={(row) => `${row.app} ${row.method} ${row.endpoint}`}
        defaultSort="-requests"
        to={(row) => onPage(view, "endpoint", { endpoint: row.endpoint, method: row.method, app: row.app })}
        empty={endpoints.length === 0 ? "No requests in this range." : "No endpoint matches the filter."}
      />
    </Panel>
  );
}

function MethodFilter({ endpoints }: { readonly endpoints: readonly EndpointRow[] }) {
  const { view, change } = useView();
  const methods = [...new Set(endpoints.map(({ method }) => method))].sort();
  const options = [{ value: "", text: "All methods" }, ...methods.map((method) => ({ value: method, text: method }))];
  return <Select label="Method" value={view.method} options={options} onChange={(method) => change({ method })} />;
}

const time = (key: "avg" | "p50" | "p95", title: string): Column<EndpointRow> => ({
  key,
  title,
  numeric: true,
  value: (row) => row[key],
  show: (row) => milliseconds(row[key]),
  hint: (row) => `${durationText(row[key])} (${row[key]} ms)`,
});

function endpointColumns(withApp: boolean): Column<EndpointRow>[] {
  const app: Column<EndpointRow> = { key: "app", title: "App", value: (row) => row.app, className: "max-w-40 truncate" };
  return [
    { key: "path", title: "Path", value: (row) => row.endpoint, hint: (row) => row.endpoint, className: "min-w-44 sm:min-w-56 max-w-0 w-full truncate" },
    { key: "method", title: "Method", value: (row) => row.method, show: (row) => <Method name={row.method} /> },
    ...(withApp ? [app] : []),
    { key: "requests", title: "Requests", numeric: true, value: (row) => row.requests, show: (row) => count(row.requests) },
    time("avg", "Avg ms"),
    time("p50", "p50 ms"),
    time("p95", "p95 ms"),
    {
      key: "p99",
      title: "p99 ms",
      numeric: true,
      value: (row) => row.p99,
      show: (row) => (row.p99 === null ? <span className="text-muted-foreground">n = {row.requests}</span> : milliseconds(row.p99)),
      hint: (row) => (row.p99 === null ? `Fewer than ${enoughForP99} requests: a p99 would mean nothing` : `${durationText(row.p99)} (${row.p99} ms)`),
    },
    {
      key: "error_rate",
      title: "Errors",
      numeric: true,
      value: (row) => row.errorRate,
      show: (row) => <span className={cn(row.errors > 0 && "text-destructive")}>{percent(row.errorRate)}</span>,
      hint: (row) => `${count(row.errors)} of ${count(row.requests)} requests`,
    },
    {
      key: "trend",
      title: "Trend",
      value: (row) => row.trend.join(" "),
      show: (row) => <Sparkline values={row.trend} className="h-5 w-24" />,
      className: "hidden lg:table-cell",
    },
  ];
}

export function Method({ name }: { readonly name: string }) {
  return (
    <Badge variant="secondary" className="px-1.5 py-0 font-mono text-[0.7rem] font-medium">
      {name}
    </Badge>
  );
}
