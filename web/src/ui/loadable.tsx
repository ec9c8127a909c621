import type { ReactNode } from "react";

import { useLongerThan, type Loaded } from "@/state/load";
import { useRefresh } from "@/state/refresh";

import { Card, cn } from "./kit";
import { Calculating, Failed, Waiting } from "./states";

interface Props<Data> {
  readonly loaded: Loaded<Data>;
  /** What is loaded, as in "Failed to load usage metrics". */
  readonly what: string;
  /** Height and place, the same with and without data: nothing jumps when it arrives. */
  readonly className?: string;
  readonly children: (data: Data) => ReactNode;
}

/** The four lives of a part of the page: waiting, failed, shown, and shown while newer numbers are on their way. */
export function Loadable<Data>({ loaded, what, className, children }: Props<Data>) {
  const { refresh } = useRefresh();
  const { data, failure, loading } = loaded;
  if (data !== null) return <Renewing busy={loading}>{children(data)}</Renewing>;
  if (failure !== null && !loading) {
    return (
      <Card className={cn("py-0 shadow-none", className)}>
        <Failed title={`Failed to load ${what}`} reason={failure.message} onRetry={refresh} />
      </Card>
    );
  }
  return (
    <div className={className}>
      <Waiting />
    </div>
  );
}

function Renewing({ busy, children }: { readonly busy: boolean; readonly children: ReactNode }) {
  const noticeable = useLongerThan(busy, 150);
  const long = useLongerThan(busy, 2000);
  return (
    <div aria-busy={busy} className="relative min-w-0">
      <div className={cn("min-w-0 transition-opacity duration-100", noticeable && "opacity-60")}>{children}</div>
      {long && <Calculating />}
    </div>
  );
}
