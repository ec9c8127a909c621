import { lazy, Suspense, type ReactNode } from "react";

import { intervalNames } from "@/series/interval";
import type { Point } from "@/series/point";
import type { Trust } from "@/series/trust";
import { useView } from "@/state/location";
import { toggled, type View } from "@/state/view";
import { cn, Skeleton } from "@/ui/kit";
import { CsvButton, Panel, TableToggle } from "@/ui/panel";
import { SourceInfo, sourceText, type Figures } from "@/ui/source-info";
import { DataTable, downloadTable } from "@/ui/data-table";

import { pointColumns } from "./columns";
import type { Series } from "./series";
import type { TimeChartProps } from "./time-chart";

// The chart library is as large as all the rest of the first load: the page works before it arrives. It is fetched
// while the numbers are, not after them; where that fails, the first chart that needs it tries again and says so.
const timeChart = () => import("./time-chart");
timeChart().catch((cause: unknown) => console.debug("charts not fetched ahead", cause));
const TimeChart = lazy(timeChart);

interface Props extends Omit<TimeChartProps, "label" | "tooltip"> {
  /** Its name in the URL and of its CSV file. */
  readonly name: string;
  readonly title: string;
  /** What a reader hears: which numbers over which range. */
  readonly label: string;
  readonly trust: Trust;
  readonly figures: Figures;
  readonly height: string;
  readonly tooltip?: readonly Series[];
  readonly note?: ReactNode;
  readonly waiting?: ReactNode;
  /** Where a row of its table leads. */
  readonly to?: (point: Point) => View;
}

/** A chart with everything that belongs beside one: legend, source, its numbers as table and as CSV. */
export function ChartPanel(props: Props) {
  const { name, title, label, points, interval, series, trust, figures, height, note, waiting, to } = props;
  const { view, change } = useView();
  const asTable = view.tables.includes(name);
  const drawn = series.filter((one) => !view.hidden.includes(one.key));
  const columns = pointColumns(series, interval);
  const shown = points.filter((point) => series.some((one) => one.value(point) !== null));

  return (
    <Panel
      title={title}
      note={
        <>
          {intervalNames[interval]} buckets, {sourceText(trust, figures)}
          {note}
        </>
      }
      actions={
        <>
          <Legend series={series} hidden={view.hidden} onToggle={(key) => change({ hidden: toggled(view.hidden, key) }, "replace")} />
          <SourceInfo of={title} trust={trust} figures={figures} />
          <TableToggle of={title} pressed={asTable} onToggle={() => change({ tables: toggled(view.tables, name) }, "replace")} />
          <CsvButton of={title} onClick={() => downloadTable(name, columns, points)} />
        </>
      }
    >
      <div className={cn("relative px-2 pb-2", height)}>
        {asTable ? (
          <DataTable
            name={name}
            label={title}
            columns={columns}
            rows={shown}
            rowKey={(point) => point.time.toISOString()}
            defaultSort="-time"
            empty="Nothing in this range."
            className="h-full"
            {...(to === undefined ? {} : { to })}
          />
        ) : (
          <figure aria-label={label} className="size-full">
            <Suspense fallback={<Skeleton className="after-150ms size-full" />}>
              <TimeChart {...props} label={label} series={drawn} tooltip={props.tooltip ?? series} />
            </Suspense>
          </figure>
        )}
        {!asTable && shown.length === 0 && <p className="pointer-events-none absolute inset-0 grid place-content-center text-muted-foreground">Nothing recorded in this range.</p>}
        {waiting}
      </div>
    </Panel>
  );
}

interface LegendProps {
  readonly series: readonly Series[];
  readonly hidden: readonly string[];
  readonly onToggle: (key: string) => void;
}

/** Names and hues; a click takes a series out of the chart, so that a large one does not flatten the others. */
function Legend({ series, hidden, onToggle }: LegendProps) {
  if (series.length < 2) return null;
  return (
    <div role="group" aria-label="Series" className="mr-1 flex flex-wrap items-center">
      {series.map(({ key, name, colour, kind, dash }) => (
        <button
          key={key}
          type="button"
          aria-pressed={!hidden.includes(key)}
          onClick={() => onToggle(key)}
          className={cn("flex h-6 items-center gap-1.5 rounded px-1.5 text-xs hover:bg-muted", hidden.includes(key) && "text-muted-foreground line-through")}
        >
          <span
            aria-hidden
            className={kind === "bar" ? "size-2.5 rounded-xs" : "h-0 w-4"}
            style={kind === "bar" ? { background: colour } : { borderTop: `2px ${dash === undefined ? "solid" : "dashed"} ${colour}` }}
          />
          {name}
        </button>
      ))}
    </div>
  );
}
