import { ChevronDown } from "lucide-react";
import { lazy, Suspense, useId, useState, type SyntheticEvent } from "react";

import { time } from "@/format/time";
import { rangeEdges, rangeProblem, type Range } from "@/state/range";
import { useViewer } from "@/state/viewer";

import { Button, cn, Input, Popover, PopoverContent, PopoverTrigger } from "./kit";

const Calendar = lazy(async () => ({ default: (await import("./calendar")).Calendar }));

interface Props {
  readonly range: Range;
  readonly onChange: (range: Range) => void;
}

export function CustomRange({ range, onChange }: Props) {
  const [open, setOpen] = useState(false);
  const custom = range.kind === "custom";
  return (
    <Popover open={open} onOpenChange={setOpen}>
      <PopoverTrigger
        className={cn(
          "flex h-7 items-center gap-1 rounded px-2 sm:px-2.5 text-sm whitespace-nowrap hover:bg-muted",
          custom && "bg-primary font-medium text-primary-foreground hover:bg-primary",
        )}
      >
        {custom ? rangeText(range.start, range.end) : "Custom"}
        <ChevronDown aria-hidden className="size-4" />
      </PopoverTrigger>
      <PopoverContent align="start" aria-label="Custom range" className="w-auto max-w-[calc(100vw-1rem)] p-3">
        <Form
          range={range}
          onApply={(start, end) => {
            setOpen(false);
            onChange({ kind: "custom", start, end });
          }}
        />
      </PopoverContent>
    </Popover>
  );
}

interface FormProps {
  readonly range: Range;
  readonly onApply: (start: Date, end: Date) => void;
}

function Form({ range, onApply }: FormProps) {
  const { limits } = useViewer();
  const [now] = useState(() => new Date());
  const [edges, setEdges] = useState(() => {
    const { start, end } = rangeEdges(range, now);
    return { start: toField(start), end: toField(end) };
  });
  const [months] = useState(() => (window.matchMedia("(min-width: 640px)").matches ? 2 : 1));
  const problemId = useId();
  const [start, end] = [new Date(edges.start), new Date(edges.end)];
  const problem = rangeProblem(start, end, now, limits);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (problem === null) onApply(start, end);
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <Suspense fallback={<div className="h-[19.5rem]" />}>
        <Calendar
          mode="range"
          numberOfMonths={months}
          defaultMonth={monthBefore(Number.isNaN(end.getTime()) ? now : end, months - 1)}
          selected={Number.isNaN(start.getTime()) ? undefined : { from: start, to: Number.isNaN(end.getTime()) ? undefined : end }}
          disabled={{ after: now }}
          labels={{ labelDayButton: dayLabel }}
          onSelect={(chosen) => {
            if (chosen?.from === undefined) return;
            setEdges({ start: toField(chosen.from), end: toField(endOfDay(chosen.to ?? chosen.from, now)) });
          }}
        />
      </Suspense>
      <div className="grid gap-2 sm:grid-cols-2">
        <Edge label="Start" value={edges.start} problemId={problemId} invalid={problem !== null} onChange={(text) => setEdges({ ...edges, start: text })} />
        <Edge label="End" value={edges.end} problemId={problemId} invalid={problem !== null} onChange={(text) => setEdges({ ...edges, end: text })} />
      </div>
      <p id={problemId} role="alert" className="min-h-5 max-w-80 text-sm text-destructive">
        {problem}
      </p>
      <Button type="submit" size="sm" disabled={problem !== null}>
        Apply
      </Button>
    </form>
  );
}

interface EdgeProps {
  readonly label: string;
  readonly value: string;
  readonly problemId: string;
  readonly invalid: boolean;
  readonly onChange: (text: string) => void;
}

function Edge({ label, value, problemId, invalid, onChange }: EdgeProps) {
  return (
    <label className="flex flex-col gap-1 text-xs text-muted-foreground">
      {label}
      <Input
        type="datetime-local"
        value={value}
        aria-invalid={invalid}
        aria-describedby={problemId}
        onChange={(event) => onChange(event.target.value)}
        className="h-8 text-foreground"
      />
    </label>
  );
}

/** Local time as a datetime-local field wants it. */
function toField(moment: Date): string {
  const pad = (value: number) => String(value).padStart(2, "0");
  const day = `${moment.getFullYear()}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())}`;
  return `${day}T${pad(moment.getHours())}:${pad(moment.getMinutes())}`;
}

/** Begins with the number that is seen, so that it can be said to choose the day. */
function dayLabel(day: Date, { today, selected }: { readonly [modifier: string]: boolean | undefined }): string {
  return [longDay.format(day), today === true && "today", selected === true && "selected"].filter(Boolean).join(", ");
}

const longDay = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });

function monthBefore(moment: Date, months: number): Date {
  return new Date(moment.getFullYear(), moment.getMonth() - months, 1);
}

/** A chosen last day is meant whole, as far as it has happened. */
function endOfDay(day: Date, now: Date): Date {
  const end = new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1);
  return end < now ? end : now;
}

export function rangeText(start: Date, end: Date): string {
  const sameDay = start.toDateString() === end.toDateString();
  return `${time(start, "day")} ${time(start, "clock")} – ${sameDay ? "" : `${time(end, "day")} `}${time(end, "clock")}`;
}
