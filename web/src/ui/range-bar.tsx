import { intervalNames, type Interval } from "@/series/interval";
import { useView } from "@/state/location";
import { intervalsFor, presetNames, presets, type Preset } from "@/state/range";

import { CustomRange } from "./custom-range";
import { cn } from "./kit";
import { Select } from "./select";

/** Range and width of buckets, which belong together. */
export function RangeBar() {
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Ranges />
      <BucketWidth />
    </div>
  );
}

/** The ranges: four presets by button or key 1–4, and any other by dates. */
function Ranges() {
  const { view, change } = useView();
  const chosen = (preset: Preset) => view.range.kind === "preset" && view.range.preset === preset;
  return (
    <div role="group" aria-label="Time range" className="flex items-center rounded-md border border-input bg-card p-0.5">
      {presets.map((preset, index) => (
        <button
          key={preset}
          type="button"
          aria-pressed={chosen(preset)}
          title={`${presetNames[preset]} (${index + 1})`}
          onClick={() => change({ range: { kind: "preset", preset } })}
          className={cn(
            "h-7 rounded px-2 text-sm sm:px-2.5 hover:bg-muted",
            chosen(preset) && "bg-primary font-medium text-primary-foreground hover:bg-primary",
          )}
        >
          {preset}
        </button>
      ))}
      <CustomRange range={view.range} onChange={(range) => change({ range })} />
    </div>
  );
}

function BucketWidth() {
  const { view, change } = useView();
  const possible = intervalsFor(view.range);
  const chosen = possible.find((interval) => interval === view.bucket) ?? possible[0] ?? "hourly";
  const options = possible.map((value) => ({ value, text: `per ${intervalNames[value].replace("1 ", "")}` }));
  const choose = (bucket: Interval) => change({ bucket: bucket === possible[0] ? "" : bucket });
  return <Select label="Width of buckets" value={chosen} options={options} onChange={(bucket) => choose(bucket as Interval)} />;
}
