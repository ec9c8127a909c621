import type { ReactNode } from "react";

import { Card } from "./kit";

/** A row of figures in one box. */
export function Tiles({ children }: { readonly children: ReactNode }) {
  return (
    <Card className="gap-0 py-0 shadow-none">
      <dl className="grid grid-cols-[repeat(auto-fit,minmax(9rem,1fr))] gap-x-6 gap-y-3 p-4">{children}</dl>
    </Card>
  );
}

interface TileProps {
  readonly name: string;
  readonly hint?: string | undefined;
  readonly children: ReactNode;
}

export function Tile({ name, hint, children }: TileProps) {
  return (
    <div className="min-w-0" title={hint}>
      <dt className="text-xs text-muted-foreground">{name}</dt>
      <dd className="truncate text-lg font-semibold">{children}</dd>
    </div>
  );
}
