import { bytes, count, percent } from "@/format/number";
import { cn } from "@/ui/kit";
import { DataTable, downloadTable, type Column } from "@/ui/data-table";
import { CsvButton, Panel } from "@/ui/panel";

import type { Table } from "../api/pipeline";

const colours = { ok: "", warning: "text-warning", alert: "text-destructive" } as const;
const bars = { ok: "var(--series-requests)", warning: "var(--warning)", alert: "var(--destructive)" } as const;
const levels = { ok: "ok", warning: "WARNING", alert: "ALERT" } as const;

const columns: Column<Table>[] = [
  { key: "table", title: "Table", value: (row) => row.name },
  { key: "rows", title: "Rows", numeric: true, value: (row) => row.rows, show: (row) => count(row.rows) },
  { key: "used", title: "Of the bound", numeric: true, value: (row) => row.rows / row.alertAt, show: (row) => <Used table={row} /> },
  { key: "warning_at", title: "Warning at", numeric: true, value: (row) => row.warningAt, show: (row) => count(row.warningAt) },
  { key: "alert_at", title: "Alert at", numeric: true, value: (row) => row.alertAt, show: (row) => count(row.alertAt) },
  { key: "bytes", title: "Size", numeric: true, value: (row) => row.bytes, show: (row) => (row.bytes === null ? "–" : bytes(row.bytes)) },
  { key: "level", title: "Level", value: (row) => row.level, show: (row) => <span className={cn(row.level !== "ok" && "font-semibold", colours[row.level])}>{levels[row.level]}</span> },
];

/** How far the tables are from the bounds somebody has to act on. */
export function Tables({ tables }: { readonly tables: readonly Table[] }) {
  return (
    <Panel title="Row governance" actions={<CsvButton of="Row governance" onClick={() => downloadTable("tables", columns, tables)} />}>
      <DataTable name="tables" label="Row governance" columns={columns} rows={tables} rowKey={(row) => row.name} defaultSort="table" empty="Row counts are not known yet." />
    </Panel>
  );
}

function Used({ table }: { readonly table: Table }) {
  const ratio = table.rows / table.alertAt;
  return (
    <span className="flex items-center justify-end gap-2">
      <span aria-hidden className="hidden h-2 w-32 overflow-hidden rounded-xs bg-muted sm:block">
        <span className="block h-full" style={{ width: `${Math.min(1, ratio) * 100}%`, background: bars[table.level] }} />
      </span>
      <span className="w-14">{percent(ratio)}</span>
    </span>
  );
}
