import { count } from "@/format/number";
import { ago, utc } from "@/format/time";
import { DataTable, downloadTable, type Column } from "@/ui/data-table";
import { CsvButton, Panel } from "@/ui/panel";

import type { Writer } from "../api/pipeline";

interface Props {
  readonly writers: readonly Writer[];
  readonly at: Date;
}

export function Writers({ writers, at }: Props) {
  const columns: Column<Writer>[] = [
    { key: "instance", title: "Writer", value: (row) => row.instance, className: "max-w-56 truncate" },
    { key: "stored", title: "Stored", numeric: true, value: (row) => row.stored, show: (row) => count(row.stored) },
    { key: "redelivered", title: "Redelivered", numeric: true, value: (row) => row.redelivered, show: (row) => count(row.redelivered) },
    { key: "last_seen", title: "Last seen", numeric: true, value: (row) => row.lastSeen.toISOString(), show: (row) => ago(row.lastSeen, at), hint: (row) => utc(row.lastSeen) },
    { key: "problem", title: "State", value: (row) => row.problem, show: (row) => (row.problem === "" ? "storing" : <span className="text-destructive">{row.problem}</span>) },
    { key: "version", title: "Version", value: (row) => row.version, className: "max-w-32 truncate" },
  ];
  return (
    <Panel title="Writers" note={String(writers.length)} actions={<CsvButton of="Writers" onClick={() => downloadTable("writers", columns, writers)} />}>
      <DataTable name="writers" label="Writers" columns={columns} rows={writers} rowKey={(row) => row.instance} defaultSort="instance" empty="No writer has reported: events stay in the stream until one does." />
    </Panel>
  );
}
