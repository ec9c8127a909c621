import { count, percent } from "@/format/number";
import { Tile, Tiles } from "@/ui/tiles";

import type { Usage } from "../api/usage";

export function Summary({ usage }: { readonly usage: Usage }) {
  const { previous } = usage;
  return (
    <Tiles>
      <Tile name="Events" hint={before(previous?.events)}>
        {count(usage.events)}
      </Tile>
      <Tile name="Users with events" hint={before(previous?.users)}>
        {count(usage.users)}
      </Tile>
      <Tile name="Active this hour">{count(usage.activeNow)}</Tile>
      <Tile name="Succeeded" hint="Of the events that say whether they succeeded">
        {percent(usage.successRate)}
      </Tile>
    </Tiles>
  );
}

function before(value: number | undefined): string {
  return value === undefined ? "The period before is not wholly kept" : `${count(value)} in the period before`;
}
