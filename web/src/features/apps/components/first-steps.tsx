import { useEffect, useState } from "react";

import { count } from "@/format/number";
import { time } from "@/format/time";
import { Button } from "@/ui/kit";
import { Select } from "@/ui/select";

import { loadArrival } from "../api/apps";
import { stacks } from "../api/stacks";

interface Props {
  readonly app: string;
  readonly secret: string;
  readonly onClose: () => void;
}

/** From a new key to the first request: what to paste, and whether it has arrived. */
export function FirstSteps({ app, secret, onClose }: Props) {
  const [name, setName] = useState(stacks[0]?.name ?? "");
  const [copied, setCopied] = useState(false);
  const lines = stacks.find((stack) => stack.name === name)?.lines(window.location.origin, secret) ?? "";
  const copy = () => void navigator.clipboard.writeText(lines).then(() => setCopied(true));
  return (
    <div role="group" aria-label={`New key of ${app}`} className="flex flex-col gap-3 rounded-md border bg-muted/40 p-3">
      <p>
        The key is shown this once: <code className="rounded bg-card px-1 break-all">{secret}</code>
      </p>
      <div className="flex flex-wrap items-center gap-2">
        <Select
          label="How the app is built"
          value={name}
          options={stacks.map((stack) => ({ value: stack.name, text: stack.name }))}
          onChange={(value) => {
            setName(value);
            setCopied(false);
          }}
        />
        <Button variant="outline" size="sm" onClick={copy}>
          {copied ? "Copied" : "Copy"}
        </Button>
      </div>
      <pre tabIndex={0} aria-label="Lines to paste into the app" className="overflow-x-auto rounded-md border bg-card p-3 text-xs">
        {lines}
      </pre>
      <Arrival app={app} />
      <Button variant="ghost" size="sm" className="self-start" onClick={onClose}>
        Close
      </Button>
    </div>
  );
}

const lookEveryMs = 2000;
const lookForMs = 10 * 60_000;

/** Looks for the app's first events until they are there, for ten minutes at most. */
function Arrival({ app }: { readonly app: string }) {
  const [seen, setSeen] = useState<{ readonly at: Date; readonly count: number } | null>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    if (seen !== null) return undefined;
    const end = new AbortController();
    const looked = Date.now();
    const timer = setInterval(() => {
      if (Date.now() - looked > lookForMs) clearInterval(timer);
      loadArrival(app, end.signal).then(
        (found) => {
          setSeen(found);
          setTrouble("");
        },
        (cause: unknown) => {
          if (!end.signal.aborted) setTrouble(cause instanceof Error ? cause.message : "");
        },
      );
    }, lookEveryMs);
    return () => {
      clearInterval(timer);
      end.abort();
    };
  }, [app, seen]);
  if (seen !== null) {
    return (
      <p role="status">
        It arrived: {count(seen.count)} in the last day, the latest at {time(seen.at, "moment")}.
      </p>
    );
  }
  return (
    <p role="status" className="text-muted-foreground">
      {trouble === "" ? `Nothing of ${app} has arrived yet. Events that are refused are counted with their reason on the Pipeline page.` : `It is not known whether something arrived: ${trouble}`}
    </p>
  );
}
