import type { ReactNode } from "react";

import { absoluteChange, compactCount, count, duration, pointChange, relativeChange, type Change, type Quantity } from "@/format/number";
import type { Point } from "@/series/point";
import { useView } from "@/state/location";
import { onPage } from "@/state/view";
import { Card } from "@/ui/kit";
import { Link } from "@/ui/link";
import { SourceInfo, type Figures } from "@/ui/source-info";
import { Sparkline } from "@/ui/sparkline";

import type { Performance } from "../api/performance";

interface Props {
  readonly performance: Performance;
  readonly points: readonly Point[];
}

export function Cards({ performance, points }: Props) {
  const { view } = useView();
  const { totals, previous } = performance;
  const quiet = totals.requests === 0;
  return (
    <div className="grid grid-cols-2 gap-2 sm:gap-4 xl:grid-cols-4">
      <Figure
        title="Avg response time"
        quantity={duration(quiet ? null : totals.avg)}
        full={`${totals.avg} ms`}
        change={quiet ? null : relativeChange(totals.avg, previous?.avg ?? null)}
        values={points.map((point) => point.avg)}
        colour="var(--series-p50)"
        performance={performance}
        figures="counts"
      />
      <Figure
        title="Requests"
        quantity={compactCount(totals.requests)}
        full={count(totals.requests)}
        change={relativeChange(totals.requests, previous?.requests ?? null)}
        values={points.map((point) => point.requests)}
        colour="var(--series-requests)"
        performance={performance}
        figures="counts"
      />
      <Figure
        title="Error rate"
        quantity={percentQuantity(totals.errorRate, quiet)}
        full={`${count(totals.errors)} of ${count(totals.requests)} requests`}
        change={quiet ? null : pointChange(totals.errorRate, previous?.requests === 0 ? null : (previous?.errorRate ?? null))}
        values={points.map((point) => point.errorRate)}
        colour="var(--series-errors)"
        performance={performance}
        figures="counts"
        note={
          totals.errors > 0 && (
            <Link to={onPage(view, "requests", { status: "error", method: view.method })} className="text-link hover:underline">
              {count(totals.errors)} errors
            </Link>
          )
        }
      />
      <Figure
        title="Active users"
        quantity={compactCount(totals.activeUsers)}
        full={count(totals.activeUsers)}
        change={absoluteChange(totals.activeUsers, previous?.activeUsers ?? null)}
        values={points.map((point) => point.activeUsers)}
        colour="var(--series-users)"
        performance={performance}
        figures="users"
        note={<AnonymousToggle requests={totals.anonymousRequests} />}
      />
    </div>
  );
}

/** `0.79%` in the style of a big number with its unit. */
function percentQuantity(ratio: number, quiet: boolean): Quantity {
  if (quiet) return { value: "–", unit: "" };
  const points = ratio * 100;
  if (points > 0 && points < 0.01) return { value: "<0.01", unit: "%" };
  return { value: points.toFixed(points >= 10 ? 1 : 2), unit: "%" };
}

interface FigureProps {
  readonly title: string;
  readonly quantity: Quantity;
  readonly full: string;
  readonly change: Change | null;
  readonly values: readonly (number | null)[];
  readonly colour: string;
  readonly performance: Performance;
  readonly figures: Figures;
  readonly note?: ReactNode;
}

function Figure({ title, quantity, full, change, values, colour, performance, figures, note }: FigureProps) {
  const unit = quantity.unit === "%" ? "%" : quantity.unit === "" ? "" : ` ${quantity.unit}`;
  return (
    <Card role="group" aria-label={title} className="min-w-0 gap-0 overflow-hidden py-0 shadow-none">
      <div className="flex items-center justify-between gap-1 pt-2 pr-2 pl-3 sm:pl-4">
        <h2 className="truncate text-xs font-medium text-muted-foreground sm:text-sm">{title}</h2>
        <SourceInfo of={title} trust={performance.trust} figures={figures} />
      </div>
      <div className="flex flex-wrap items-baseline gap-x-3 px-3 sm:px-4">
        <p className="text-2xl font-semibold" title={full} data-value>
          {quantity.value}
          <span className="text-base font-medium text-muted-foreground">{unit}</span>
        </p>
        <ChangeText change={change} />
      </div>
      <div className="h-5 truncate px-3 sm:px-4 text-xs text-muted-foreground">{note}</div>
      <Sparkline values={values} colour={colour} className="mt-1 mb-2 h-8 w-full px-3 sm:px-4" />
    </Card>
  );
}

const arrows = { up: "▲", down: "▼", same: "=" } as const;
const words = { up: "up", down: "down", same: "unchanged" } as const;

/** Grey: whether more is better is the reader's to say. */
function ChangeText({ change }: { readonly change: Change | null }) {
  if (change === null) return null;
  return (
    <span className="tabular text-xs whitespace-nowrap text-muted-foreground" title="Against the period of the same length before">
      <span aria-hidden className="text-[0.6rem]">
        {arrows[change.direction]}{" "}
      </span>
      <span className="sr-only">{words[change.direction]} </span>
      {change.direction === "same" ? "as before" : change.text}
    </span>
  );
}

function AnonymousToggle({ requests }: { readonly requests: number }) {
  const { view, change } = useView();
  return (
    <label className="inline-flex items-center gap-1.5" title={`${count(requests)} anonymous requests count as one more user`}>
      <input type="checkbox" checked={view.includeAnonymous} onChange={(event) => change({ includeAnonymous: event.target.checked })} className="size-3.5 accent-primary" />
      include anonymous
    </label>
  );
}
