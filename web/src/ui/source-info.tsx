import { Info } from "lucide-react";
import type { ReactNode } from "react";

import { count } from "@/format/number";
import { time, utc } from "@/format/time";
import { precisionText, type Trust } from "@/series/trust";

import { Popover, PopoverContent, PopoverTrigger } from "./kit";

export type Figures = "percentiles" | "users" | "counts";

interface Props {
  /** Whose numbers these are, for the button's name. */
  readonly of: string;
  readonly trust: Trust;
  readonly figures: Figures;
  readonly children?: ReactNode;
}

/** Where the numbers come from and how true they are. */
export function SourceInfo({ of, trust, figures, children }: Props) {
  return (
    <Popover>
      <PopoverTrigger
        aria-label={`Source of ${of}`}
        className="inline-flex size-6 items-center justify-center rounded text-muted-foreground hover:bg-muted hover:text-foreground"
      >
        <Info aria-hidden className="size-4" />
      </PopoverTrigger>
      <PopoverContent align="end" aria-label={`Source of ${of}`} className="w-80 text-sm">
        <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5">
          <Fact name="Precision">{precisionOf(trust, figures)}</Fact>
          <Fact name="Samples">n = {count(trust.n)}</Fact>
          <Fact name="Complete to">
            <Moment at={trust.completeTo} />
          </Fact>
          {trust.aggregatedFrom !== null && (
            <Fact name="Hourly aggregates">
              from <Moment at={trust.aggregatedFrom} />
            </Fact>
          )}
          {trust.rawFrom !== null && (
            <Fact name="Raw rows">
              from <Moment at={trust.rawFrom} />
            </Fact>
          )}
          {trust.hourAligned && (
            <Fact name="Range used">
              whole hours, <Moment at={trust.start} /> to <Moment at={trust.end} />
            </Fact>
          )}
        </dl>
        {children !== undefined && <div className="mt-3 border-t pt-3 text-muted-foreground">{children}</div>}
      </PopoverContent>
    </Popover>
  );
}

function precisionOf(trust: Trust, figures: Figures): string {
  if (figures === "counts") return "exact";
  const text = precisionText(trust[figures]);
  return figures === "percentiles" && !trust.percentiles.exact ? `${text} of the value at the rank` : text;
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <>
      <dt className="text-muted-foreground">{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

export function Moment({ at }: { readonly at: Date }) {
  return (
    <time dateTime={at.toISOString()} title={utc(at)} className="tabular whitespace-nowrap">
      {time(at, "full")}
    </time>
  );
}

/** The short form beside a title: `n = 1,204 · exact`. */
export function sourceText(trust: Trust, figures: Figures): string {
  const precision = figures === "counts" ? "exact" : trust[figures].exact ? "exact" : `≤ ${trust[figures].relativeError * 100}%`;
  return `n = ${count(trust.n)} · ${precision}`;
}
