import { useState } from "react";

import { presetNames } from "@/state/range";
import { onPage, type View } from "@/state/view";
import { Button } from "@/ui/kit";
import { Link } from "@/ui/link";
import { Message } from "@/ui/states";

interface Props {
  readonly view: View;
  readonly development: boolean;
}

/** The first minute of an installation: what to do next, ready to paste. */
export function NoData({ view, development }: Props) {
  const [copied, setCopied] = useState(false);
  const command = firstEvent(window.location.origin, development);
  const range = view.range.kind === "preset" ? `the ${presetNames[view.range.preset]}` : "this range";
  const narrowed = view.app !== "" || view.method !== "" || view.range.kind === "custom" || view.range.preset !== "90d";
  return (
    <Message title="No data available" className="min-h-[50vh] rounded-lg border bg-card">
      <p>
        Nothing was recorded in {range}
        {view.app !== "" && ` for ${view.app}`}.
        {narrowed && (
          <>
            {" "}
            <Link to={{ ...onPage(view, "metrics"), app: "", range: { kind: "preset", preset: "90d" } }} className="text-link underline">
              Look at the last 90 days of all apps
            </Link>
          </>
        )}
      </p>
      <p className="mt-4 mb-2">Send a first event, then press Refresh:</p>
      <pre tabIndex={0} aria-label="Command that sends a first event" className="max-w-[min(44rem,85vw)] overflow-x-auto rounded-md border bg-muted p-3 text-left text-xs text-foreground">
        {command}
      </pre>
      <Button
        variant="outline"
        size="sm"
        className="mt-3"
        onClick={() => {
          void navigator.clipboard.writeText(command).then(() => setCopied(true));
        }}
      >
        {copied ? "Copied" : "Copy"}
      </Button>
    </Message>
  );
}

export function firstEvent(origin: string, development: boolean): string {
  const key = development ? "" : ` \\\n  -H 'X-Lakepulse-Key: lp_…'`;
  const event = `{"events":[{"timestamp":"'$(date -u +%FT%TZ)'","app":"hello","endpoint":"/hello","method":"GET","status_code":200,"response_time_ms":12.5}]}`;
  return `curl ${origin}/api/v1/metrics/performance-events${key} \\\n  -H 'Content-Type: application/json' \\\n  -d '${event}'`;
}
