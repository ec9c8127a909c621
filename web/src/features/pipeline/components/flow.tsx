import { bytes, compactCount, count, joined } from "@/format/number";
import { span, time, utc } from "@/format/time";
import { cn } from "@/ui/kit";
import { Tile, Tiles } from "@/ui/tiles";

import type { Pipeline } from "../api/pipeline";

const unknown = "not known";

/** The way from accepted to stored to deleted, left to right. */
export function Flow({ pipeline }: { readonly pipeline: Pipeline }) {
  const { stream, lag, rates, purgeLine, watermark } = pipeline;
  const window = rates === null ? undefined : `over the last ${span(rates.windowSeconds)}`;
  return (
    <Tiles>
      <Tile name="Accepted" hint={window}>
        {rates === null ? unknown : `${perSecond(rates.accepted)} / s`}
      </Tile>
      <Tile name="In the stream" hint={stream === null ? undefined : `${count(stream.messages)} messages${stream.maxBytes === null ? "" : ` of at most ${bytes(stream.maxBytes)}`}`}>
        {stream === null ? unknown : `${joined(compactCount(stream.messages))} · ${bytes(stream.bytes)}`}
      </Tile>
      <Tile name="Waiting to be stored" hint="Messages published and not yet stored">
        {lag === null ? unknown : count(lag.messages)}
      </Tile>
      <Tile name="Lag" hint="Age of the oldest message not yet stored">
        {lag === null ? unknown : <span className={cn(lag.seconds > 60 && "text-destructive")}>{span(lag.seconds)}</span>}
      </Tile>
      <Tile name="Stored" hint={window}>
        {rates === null ? unknown : `${perSecond(rates.stored)} / s`}
      </Tile>
      <Tile name="Complete to" hint={watermark === null ? undefined : utc(watermark)}>
        {watermark === null ? unknown : time(watermark, "clockSeconds")}
      </Tile>
      <Tile name="Raw rows kept from" hint={purgeLine === null ? undefined : purgeHint(purgeLine)}>
        {purgeLine === null ? unknown : `${time(purgeLine.time, "day")}, ${time(purgeLine.time, "clock")}`}
        {purgeLine?.heldBy != null && <span className="block truncate text-xs font-normal text-warning">held by {purgeLine.heldBy}</span>}
      </Tile>
    </Tiles>
  );
}

function perSecond(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : joined(compactCount(rate));
}

function purgeHint({ time: line, target, heldBy }: NonNullable<Pipeline["purgeLine"]>): string {
  const wanted = target === null ? "" : `, would be ${utc(target)}`;
  return `${utc(line)}${wanted}${heldBy === null ? "" : `, held by ${heldBy}`}`;
}
