import { ArrowLeft, RefreshCw } from "lucide-react";
import type { ReactNode } from "react";

import { time, utc } from "@/format/time";
import { back } from "@/state/location";
import { useRefresh } from "@/state/refresh";
import type { View } from "@/state/view";

import { Button, Spinner } from "./kit";

interface Props {
  readonly title: ReactNode;
  /** Everything accepted up to here is in the numbers of the page. */
  readonly completeTo: Date | null;
  /** The page this one was opened from. */
  readonly parent?: View;
  /** The choice of a range, on pages that have one. */
  readonly children?: ReactNode;
}

export function PageHead({ title, completeTo, parent, children }: Props) {
  return (
    <div className="flex min-h-10 flex-wrap items-center gap-x-4 gap-y-2">
      <div className="flex min-w-0 items-center gap-2">
        {parent !== undefined && (
          <Button variant="ghost" size="icon-sm" aria-label="Back" title="Back (Escape)" onClick={() => back(parent)}>
            <ArrowLeft aria-hidden />
          </Button>
        )}
        <h1 className="min-w-0 break-all">{title}</h1>
      </div>
      {children}
      <div className="ml-auto flex items-center gap-3">
        {completeTo !== null && (
          <span className="tabular text-xs text-muted-foreground" title={`Everything accepted until ${utc(completeTo)} is counted`}>
            complete to {time(completeTo, "clockSeconds")}
          </span>
        )}
        <RefreshButton />
      </div>
    </div>
  );
}

function RefreshButton() {
  const { refreshing, refresh } = useRefresh();
  return (
    <Button variant="outline" size="sm" disabled={refreshing} data-track-id="refresh" onClick={refresh} title="Refresh (r)" className="min-w-32 bg-card">
      {refreshing ? <Spinner aria-hidden className="after-150ms" /> : <RefreshCw aria-hidden />}
      {refreshing ? "Refreshing..." : "Refresh"}
    </Button>
  );
}
