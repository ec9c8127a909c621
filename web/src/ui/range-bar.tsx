import { useView } from "@/state/location";
import { presetNames, presets, type Preset } from "@/state/range";

import { CustomRange } from "./custom-range";
import { cn } from "./kit";

/** The ranges: four presets by button or key 1–4, and any other by dates. */
export function RangeBar() {
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
            "h-7 rounded px-2.5 text-sm hover:bg-muted",
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
