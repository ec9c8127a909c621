import { CircleAlert, ShieldAlert } from "lucide-react";
import type { ReactNode } from "react";

import { useLongerThan } from "@/state/load";

import { Button, cn, Skeleton } from "./kit";

interface MessageProps {
  readonly title: string;
  readonly children?: ReactNode;
  readonly icon?: ReactNode;
  readonly alert?: boolean;
  readonly className?: string;
}

/** A state that takes the place of data and says what to do next. */
export function Message({ title, children, icon, alert = false, className }: MessageProps) {
  return (
    <div
      role={alert ? "alert" : undefined}
      className={cn("flex size-full min-h-24 flex-col items-center justify-center gap-2 p-6 text-center", className)}
    >
      {icon}
      <p className="font-medium text-balance">{title}</p>
      {children !== undefined && <div className="max-w-prose text-muted-foreground">{children}</div>}
    </div>
  );
}

interface FailedProps {
  /** What failed, such as "Failed to load usage metrics". */
  readonly title: string;
  readonly reason: string;
  readonly onRetry: () => void;
}

export function Failed({ title, reason, onRetry }: FailedProps) {
  return (
    <Message alert title={title} icon={<CircleAlert aria-hidden className="size-5 text-destructive" />}>
      <p className="mb-3">{reason}</p>
      <Button variant="outline" size="sm" onClick={onRetry}>
        Try again
      </Button>
    </Message>
  );
}

export function Denied() {
  return (
    <Message alert className="min-h-[60vh]" title="Access Denied: Administrator privileges required" icon={<ShieldAlert aria-hidden className="size-6 text-muted-foreground" />}>
      <p>Ask a workspace administrator for access.</p>
    </Message>
  );
}

/** Keeps the place of what is coming: nothing for 150 ms, then its grey shape, after 2 s a word. */
export function Waiting({ className }: { readonly className?: string }) {
  const long = useLongerThan(true, 2000);
  return (
    <div role="status" aria-label={long ? "Calculating" : "Loading"} className={cn("relative size-full", className)}>
      <Skeleton className="after-150ms size-full rounded-md" />
      {long && <Calculating />}
    </div>
  );
}

export function Calculating() {
  return (
    <span className="absolute inset-0 flex items-center justify-center">
      <span className="rounded-md border bg-popover px-3 py-1 text-sm text-foreground">Calculating...</span>
    </span>
  );
}
