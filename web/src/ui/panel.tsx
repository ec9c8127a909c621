import { Download, Table2 } from "lucide-react";
import { useId, type ReactNode } from "react";

import { Button, Card, cn } from "./kit";

interface Props {
  readonly title: string;
  /** Beside the title: units, bucket width, how many. */
  readonly note?: ReactNode;
  readonly actions?: ReactNode;
  readonly className?: string;
  readonly children: ReactNode;
}

/** A titled box: a landmark a reader can jump to. */
export function Panel({ title, note, actions, className, children }: Props) {
  const id = useId();
  return (
    <Card role="region" aria-labelledby={id} className={cn("min-w-0 gap-0 overflow-hidden py-0 shadow-none", className)}>
      <header className="flex min-h-11 flex-wrap items-center gap-x-3 gap-y-1 px-4 pt-2 pb-1">
        <h2 id={id}>{title}</h2>
        {note !== undefined && <span className="tabular text-xs text-muted-foreground">{note}</span>}
        <div className="ml-auto flex min-w-0 flex-wrap items-center justify-end gap-1">{actions}</div>
      </header>
      {children}
    </Card>
  );
}

interface ToggleProps {
  readonly of: string;
  readonly pressed: boolean;
  readonly onToggle: () => void;
}

export function TableToggle({ of, pressed, onToggle }: ToggleProps) {
  return (
    <Button
      variant="ghost"
      size="sm"
      aria-pressed={pressed}
      aria-label={pressed ? `Show ${of} as chart` : `Show ${of} as table`}
      title={pressed ? "Show as chart" : "Show as table"}
      className={cn("size-7 p-0 text-muted-foreground", pressed && "bg-accent text-accent-foreground")}
      onClick={onToggle}
    >
      <Table2 aria-hidden />
    </Button>
  );
}

export function CsvButton({ of, onClick }: { readonly of: string; readonly onClick: () => void }) {
  return (
    <Button
      variant="ghost"
      size="sm"
      aria-label={`Download ${of} as CSV`}
      title="Download as CSV"
      className="h-7 gap-1 px-1.5 text-xs text-muted-foreground"
      onClick={onClick}
    >
      csv <Download aria-hidden className="size-3.5" />
    </Button>
  );
}
