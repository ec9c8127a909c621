import type { ReactNode } from "react";

import type { RequestRow } from "@/api/map";
import { milliseconds } from "@/format/number";
import { time, utc } from "@/format/time";
import type { Trust } from "@/series/trust";
import { onPage } from "@/state/view";
import { useView } from "@/state/location";

import { DataTable, downloadTable, type Column } from "./data-table";
import { cn } from "./kit";
import { Link } from "./link";
import { CsvButton, Panel } from "./panel";
import { SourceInfo } from "./source-info";

interface Props {
  readonly name: string;
  readonly title: string;
  readonly note?: ReactNode;
  readonly rows: readonly RequestRow[];
  readonly defaultSort: string;
  readonly trust: Trust;
  readonly actions?: ReactNode;
  readonly empty?: string;
}

/** Requests one by one, as they were recorded. */
export function RequestTable({ name, title, note, rows, defaultSort, trust, actions, empty = "No requests in the raw window of this range." }: Props) {
  return (
    <Panel
      title={title}
      note={note}
      actions={
        <>
          {actions}
          <SourceInfo of={title} trust={trust} figures="counts" />
          <CsvButton of={title} onClick={() => downloadTable(name, columns, rows)} />
        </>
      }
    >
      <DataTable name={name} label={title} columns={columns} rows={rows} rowKey={(row) => row.id} defaultSort={defaultSort} empty={empty} />
    </Panel>
  );
}

const faint = "text-muted-foreground";

const columns: Column<RequestRow>[] = [
  { key: "time", title: "Time", value: (row) => row.time.toISOString(), show: (row) => `${time(row.time, "day")} ${time(row.time, "clockSeconds")}`, hint: (row) => utc(row.time) },
  { key: "status", title: "Status", numeric: true, value: (row) => row.status, show: (row) => <span className={cn(row.status >= 400 && "text-destructive")}>{row.status}</span> },
  { key: "milliseconds", title: "ms", numeric: true, value: (row) => row.milliseconds, show: (row) => milliseconds(row.milliseconds), hint: (row) => `${row.milliseconds} ms` },
  { key: "method", title: "Method", value: (row) => row.method },
  { key: "endpoint", title: "Endpoint", value: (row) => row.endpoint, hint: (row) => row.endpoint, className: "max-w-80 min-w-40 truncate" },
  { key: "user", title: "User", value: (row) => row.user, show: (row) => row.user ?? <span className={faint}>anonymous</span>, className: "max-w-52 truncate" },
  { key: "error_type", title: "Error type", value: (row) => row.errorType, className: "max-w-44 truncate" },
  { key: "app", title: "App", value: (row) => row.app },
  { key: "version", title: "Version", value: (row) => row.version },
  { key: "instance", title: "Instance", value: (row) => row.instance, className: "max-w-40 truncate" },
  { key: "interaction", title: "Interaction", value: (row) => row.interaction, show: (row) => <Interaction id={row.interaction} />, className: "max-w-32 truncate" },
  { key: "trace", title: "Trace", value: (row) => row.trace, className: "max-w-32 truncate" },
  { key: "correlation", title: "Correlation", value: (row) => row.correlation, className: "max-w-32 truncate" },
  { key: "id", title: "Id", value: (row) => row.id, className: "max-w-32 truncate" },
];

/** Leads to everything else the same click caused. */
function Interaction({ id }: { readonly id: string | null }) {
  const { view } = useView();
  if (id === null) return null;
  return (
    <Link to={onPage(view, "requests", { interaction: id })} data-track-id="interaction" className="text-link hover:underline" title={`All requests caused by ${id}`}>
      {id}
    </Link>
  );
}
