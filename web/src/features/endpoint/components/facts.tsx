import { count, durationText, percent } from "@/format/number";
import { enoughForP99 } from "@/series/point";
import { useView } from "@/state/location";
import { onPage } from "@/state/view";
import { Link } from "@/ui/link";
import { Tile, Tiles } from "@/ui/tiles";

import type { EndpointDetail } from "../api/endpoint";

export function Facts({ detail }: { readonly detail: EndpointDetail }) {
  const { view } = useView();
  const quiet = detail.requests === 0;
  const time = (value: number) => (quiet ? "–" : durationText(value));
  const requests = onPage(view, "requests", { endpoint: view.endpoint, method: view.method });
  return (
    <Tiles>
      <Tile name="Requests">
        <Link to={requests} className="text-link hover:underline">
          {count(detail.requests)}
        </Link>
      </Tile>
      <Tile name="Error rate">
        {detail.errors === 0 ? (
          percent(detail.errorRate)
        ) : (
          <Link to={{ ...requests, status: "error" }} className="text-link hover:underline">
            {percent(detail.errorRate)}
          </Link>
        )}
      </Tile>
      <Tile name="Average">{time(detail.avg)}</Tile>
      <Tile name="p50">{time(detail.p50)}</Tile>
      <Tile name="p95">{time(detail.p95)}</Tile>
      <Tile name="p99">
        <P99 detail={detail} />
      </Tile>
      <Tile name="Fastest – slowest">{quiet ? "–" : `${durationText(detail.min)} – ${durationText(detail.max)}`}</Tile>
      <Tile name="Users">{count(detail.users)}</Tile>
    </Tiles>
  );
}

function P99({ detail }: { readonly detail: EndpointDetail }) {
  if (detail.requests === 0) return "–";
  if (detail.p99 !== null) return durationText(detail.p99);
  return <span title={`Fewer than ${enoughForP99} requests: a p99 would mean nothing`}>n = {detail.requests}</span>;
}
