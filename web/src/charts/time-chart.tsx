import { useId, useMemo, useState } from "react";
import {
  CartesianGrid,
  ComposedChart,
  Line,
  ReferenceArea,
  ReferenceLine,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
  type MouseHandlerDataParam,
} from "recharts";

import type { Interval } from "@/series/interval";
import type { Point } from "@/series/point";
import { tickText, timeTicks } from "@/series/ticks";

import { stackedTotal } from "./geometry";
import { Bars, LoneDots } from "./marks";
import type { Series } from "./series";
import { PointTooltip } from "./tooltip";

export interface Deploy {
  readonly time: Date;
  readonly text: string;
}

export interface TimeChartProps {
  readonly label: string;
  readonly points: readonly Point[];
  readonly interval: Interval;
  readonly series: readonly Series[];
  /** What the tooltip lists: more than is drawn where two charts share one tooltip. Empty for no tooltip. */
  readonly tooltip: readonly Series[];
  readonly axis: (value: number) => string;
  /** Charts of one group move their crosshair together. */
  readonly group?: string;
  readonly deploys?: readonly Deploy[];
  /** A stretch was dragged, or one bucket clicked: both edges are buckets, inclusive. */
  readonly onSelect?: (first: Point, last: Point) => void;
}

const margin = { top: 8, right: 12, bottom: 0, left: 0 };
const marginWithMarkers = { ...margin, top: 18 };
const axisText = { fontSize: 11, fill: "var(--muted-foreground)" };
const time = (point: Point) => point.time.getTime();

export default function TimeChart(props: TimeChartProps) {
  const { label, points, interval, series, tooltip, axis, group, deploys = [] } = props;
  const hatch = useId();
  const drag = useDrag(points, props.onSelect);
  const ticks = useMemo(() => timeTicks(points.map((point) => point.time), 9).map((moment) => moment.getTime()), [points]);
  const [bars, lines] = [useKind(series, "bar"), useKind(series, "line")];

  return (
    <ResponsiveContainer width="100%" height="100%">
      <ComposedChart
        data={points}
        margin={deploys.length > 0 ? marginWithMarkers : margin}
        title={label}
        {...(group === undefined ? {} : { syncId: group })}
        {...drag.handlers}
      >
        <defs>
          <pattern id={hatch} width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            <line x1="0" y1="0" x2="0" y2="5" stroke="var(--hatch)" strokeWidth="1.5" />
          </pattern>
        </defs>
        <CartesianGrid vertical={false} stroke="var(--chart-line)" />
        <XAxis
          dataKey={time}
          scale="band"
          ticks={ticks}
          interval="preserveStart"
          minTickGap={16}
          tickFormatter={(moment: number) => tickText(new Date(moment))}
          tick={axisText}
          tickLine={false}
          stroke="var(--border)"
        />
        <YAxis width={56} domain={[0, "auto"]} tickFormatter={axis} tick={axisText} tickLine={false} axisLine={false} allowDecimals={series[0]?.kind !== "bar"} />
        {openRuns(points).map(([from, to]) => (
          <ReferenceArea key={from} x1={from} x2={to} fill={`url(#${hatch})`} fillOpacity={0.7} ifOverflow="hidden" />
        ))}
        {markersOf(deploys, points).map(({ at, text }) => (
          <ReferenceLine key={at} x={at} stroke="var(--muted-foreground)" strokeDasharray="2 3" label={{ value: text, position: "top", ...axisText }} />
        ))}
        <Bars points={points} series={bars} />
        {/* Unseen: it gives the bars their axis and the crosshair its bucket. */}
        {bars.length > 0 && <Line dataKey={stackedTotal(bars.map(({ value }) => value))} stroke="none" dot={false} activeDot={false} isAnimationActive={false} />}
        {lines.map(lineOf)}
        <LoneDots points={points} series={lines} />
        {drag.area !== null && <ReferenceArea x1={time(drag.area[0])} x2={time(drag.area[1])} fill="var(--primary)" fillOpacity={0.15} />}
        <Tooltip
          isAnimationActive={false}
          filterNull={false} // an empty bucket has its tooltip, too
          cursor={{ stroke: "var(--muted-foreground)", strokeWidth: 1, fill: "var(--muted-foreground)", fillOpacity: 0.12 }}
          wrapperStyle={{ zIndex: 20 }}
          content={({ active, payload }) => {
            const point = payload[0]?.payload as Point | undefined;
            if (!active || point === undefined || tooltip.length === 0) return null;
            return <PointTooltip point={point} interval={interval} series={tooltip} />;
          }}
        />
      </ComposedChart>
    </ResponsiveContainer>
  );
}

function useKind(series: readonly Series[], kind: Series["kind"]): readonly Series[] {
  return useMemo(() => series.filter((one) => one.kind === kind), [series, kind]);
}

function lineOf({ key, name, colour, dash, value }: Series) {
  return (
    <Line
      key={key}
      dataKey={value}
      name={name}
      type="linear"
      stroke={colour}
      strokeWidth={1.5}
      {...(dash === undefined ? {} : { strokeDasharray: dash })}
      dot={false}
      activeDot={{ r: 3.5, strokeWidth: 0 }}
      connectNulls={false}
      isAnimationActive={false}
    />
  );
}

/** The runs of buckets that are not complete: the first of a range may be cut, the last is still filling. */
function openRuns(points: readonly Point[]): (readonly [number, number])[] {
  const runs: [number, number][] = [];
  let open = false;
  for (const point of points) {
    const last = runs.at(-1);
    if (!point.complete && open && last !== undefined) last[1] = time(point);
    else if (!point.complete) runs.push([time(point), time(point)]);
    open = !point.complete;
  }
  return runs;
}

/** Deploys at the buckets they fall into; several in one bucket share a marker. */
function markersOf(deploys: readonly Deploy[], points: readonly Point[]): { at: number; text: string }[] {
  const found = new Map<number, string[]>();
  for (const deploy of deploys) {
    const bucket = points.findLast((point) => point.time <= deploy.time);
    if (bucket !== undefined) found.set(time(bucket), [...(found.get(time(bucket)) ?? []), deploy.text]);
  }
  return withRoom([...found].sort(([a], [b]) => a - b).map(([at, texts]) => ({ at, text: texts.join(", ") })), points);
}

/** A marker too near the one named before it stays unnamed: names over each other are read as neither. */
function withRoom(markers: { at: number; text: string }[], points: readonly Point[]) {
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined) return markers;
  const room = (time(last) - time(first)) / 10;
  let named = -Infinity;
  return markers.map((marker) => {
    if (marker.at - named < room) return { ...marker, text: "" };
    named = marker.at;
    return marker;
  });
}

/** Dragging over buckets selects them; a click is a drag over one. */
function useDrag(points: readonly Point[], onSelect: TimeChartProps["onSelect"]) {
  const [dragged, setDragged] = useState<readonly [number, number] | null>(null);
  if (onSelect === undefined) return { handlers: {}, area: null };

  const at = (state: MouseHandlerDataParam) => (state.activeTooltipIndex == null ? null : Number(state.activeTooltipIndex));
  const edges = (pair: readonly [number, number]) => {
    const [first, last] = [points[Math.min(...pair)], points[Math.max(...pair)]];
    return first === undefined || last === undefined ? null : ([first, last] as const);
  };
  const handlers = {
    style: { cursor: "crosshair", userSelect: "none" } as const,
    onMouseDown: (state: MouseHandlerDataParam) => {
      const index = at(state);
      if (index !== null) setDragged([index, index]);
    },
    onMouseMove: (state: MouseHandlerDataParam) => {
      const index = at(state);
      if (dragged !== null && index !== null && index !== dragged[1]) setDragged([dragged[0], index]);
    },
    onMouseUp: () => {
      const selected = dragged === null ? null : edges(dragged);
      setDragged(null);
      if (selected !== null) onSelect(...selected);
    },
    onMouseLeave: () => setDragged(null),
  };
  const moved = dragged !== null && dragged[0] !== dragged[1];
  return { handlers, area: moved ? edges(dragged) : null };
}
