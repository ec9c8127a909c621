import type { Tally } from "@/api/map";
import { count, percent } from "@/format/number";
import type { Trust } from "@/series/trust";
import type { View } from "@/state/view";
import { DataTable, downloadTable, type Column } from "@/ui/data-table";
import { CsvButton, Panel } from "@/ui/panel";
import { SourceInfo } from "@/ui/source-info";

interface Props {
  readonly name: string;
  readonly title: string;
  /** What the names are: "Page", "Type". */
  readonly of: string;
  readonly tallies: readonly Tally[];
  readonly trust: Trust;
  readonly note?: string;
  readonly to?: (name: string) => View;
}

/** Counts by name, as bars inside the table that gives their numbers. */
export function TallyPanel({ name, title, of, tallies, trust, note, to }: Props) {
  const total = tallies.reduce((sum, tally) => sum + tally.count, 0);
  const most = Math.max(1, ...tallies.map((tally) => tally.count));
  const columns: Column<Tally>[] = [
    { key: of.toLowerCase(), title: of, value: (tally) => tally.name, show: (tally) => tally.name || "(none)", hint: (tally) => tally.name, className: "max-w-0 w-2/5 truncate" },
    { key: "count", title: "Events", numeric: true, value: (tally) => tally.count, show: (tally) => count(tally.count) },
    { key: "share", title: "Share", numeric: true, value: (tally) => tally.count / Math.max(1, total), show: (tally) => <Share of={tally.count / Math.max(1, total)} width={tally.count / most} />, className: "w-2/5" },
  ];
  return (
    <Panel
      title={title}
      note={`${tallies.length}${note === undefined ? "" : `, ${note}`}`}
      actions={
        <>
          <SourceInfo of={title} trust={trust} figures="counts" />
          <CsvButton of={title} onClick={() => downloadTable(name, columns, tallies)} />
        </>
      }
    >
      <DataTable
        name={name}
        label={`${title}, counts and shares`}
        columns={columns}
        rows={tallies}
        rowKey={(tally) => tally.name}
        defaultSort="-count"
        empty="Nothing in this range."
        className="h-82"
        {...(to === undefined ? {} : { to: (tally: Tally) => to(tally.name) })}
      />
    </Panel>
  );
}

function Share({ of, width }: { readonly of: number; readonly width: number }) {
  return (
    <span className="flex items-center justify-end gap-2">
      <span aria-hidden className="hidden h-2 flex-1 sm:block">
        <span className="block h-full min-w-px rounded-xs bg-[var(--series-requests)]" style={{ width: `${width * 100}%` }} />
      </span>
      <span className="w-14">{percent(of)}</span>
    </span>
  );
}
