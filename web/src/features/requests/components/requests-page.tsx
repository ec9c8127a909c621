import { Download, X } from "lucide-react";

import { count } from "@/format/number";
import { useLoad } from "@/state/load";
import { useView } from "@/state/location";
import { keyOf } from "@/state/query";
import { rangeQuery } from "@/state/range";
import { onPage, statusClasses, type StatusClass, type View } from "@/state/view";
import { buttonVariants, cn } from "@/ui/kit";
import { Loadable } from "@/ui/loadable";
import { PageHead } from "@/ui/page-head";
import { RangeBar } from "@/ui/range-bar";
import { RequestTable } from "@/ui/request-table";
import { Select } from "@/ui/select";

import { exportUrl, loadRequests, mostRows } from "../api/requests";

/** The requests behind a number, one by one. */
export default function RequestsPage() {
  const { view } = useView();
  const filter = {
    ...rangeQuery(view.range),
    app: view.app,
    endpoint: view.endpoint,
    method: view.method,
    status_class: view.status,
    error_type: view.errorType,
    user_id: view.user,
  };
  const query = { ...filter, interaction_id: view.interaction, order: view.order };
  const loaded = useLoad(keyOf(query), (signal) => loadRequests(query, signal));
  const parent = view.endpoint === "" ? onPage(view, "metrics") : onPage(view, "endpoint", { endpoint: view.endpoint, method: view.method });
  return (
    <>
      <PageHead title="Requests" completeTo={loaded.data?.trust.completeTo ?? null} parent={parent}>
        <RangeBar />
      </PageHead>
      <Filters />
      <Loadable loaded={loaded} what="requests" className="h-[40rem]">
        {(data) => (
          <RequestTable
            key={view.order}
            name="requests"
            title={view.order === "slowest" ? "Slowest requests" : "Latest requests"}
            note={`${count(data.rows.length)}${data.truncated ? `, the first ${mostRows} of more` : ""}`}
            rows={data.rows}
            defaultSort={view.order === "slowest" ? "-milliseconds" : "-time"}
            trust={data.trust}
            actions={<Exports query={filter} />}
          />
        )}
      </Loadable>
    </>
  );
}

const statusOptions = [
  { value: "", text: "Any status" },
  ...statusClasses.map((value) => ({ value, text: value === "error" ? "Errors (4xx, 5xx)" : value })),
];

const orderOptions = [
  { value: "recent", text: "Latest first" },
  { value: "slowest", text: "Slowest first" },
];

type Text = "endpoint" | "method" | "errorType" | "user" | "interaction";

const texts: readonly { field: Text; name: string }[] = [
  { field: "method", name: "method" },
  { field: "endpoint", name: "endpoint" },
  { field: "errorType", name: "error type" },
  { field: "user", name: "user" },
  { field: "interaction", name: "interaction" },
];

function Filters() {
  const { view, change } = useView();
  return (
    <div role="group" aria-label="Filters" className="flex flex-wrap items-center gap-2">
      <Select label="Status" value={view.status} options={statusOptions} onChange={(status) => change({ status: status as StatusClass | "" })} />
      <Select label="Order" value={view.order} options={orderOptions} onChange={(order) => change({ order: order as View["order"] })} />
      {texts.map(({ field, name }) => view[field] !== "" && <Chip key={field} name={name} value={view[field]} onRemove={() => change({ [field]: "" })} />)}
    </div>
  );
}

interface ChipProps {
  readonly name: string;
  readonly value: string;
  readonly onRemove: () => void;
}

function Chip({ name, value, onRemove }: ChipProps) {
  return (
    <span className="inline-flex h-8 max-w-full items-center gap-1.5 rounded-md border bg-card pl-2.5 text-sm">
      <span className="text-muted-foreground">{name}</span>
      <span className="truncate">{value}</span>
      <button type="button" aria-label={`Remove filter ${name}`} onClick={onRemove} className="flex h-full items-center rounded-r-md px-1.5 hover:bg-muted">
        <X aria-hidden className="size-3.5" />
      </button>
    </span>
  );
}

/** Every raw row of the range and filters, streamed by the server straight into a file. */
function Exports({ query }: { readonly query: Parameters<typeof exportUrl>[0] }) {
  const style = cn(buttonVariants({ variant: "ghost", size: "sm" }), "h-7 gap-1 px-1.5 text-xs text-muted-foreground");
  return (
    <>
      <a className={style} href={exportUrl(query, "ndjson")} download="lakepulse-requests.ndjson">
        all as json <Download aria-hidden className="size-3.5" />
      </a>
      <a className={style} href={exportUrl(query, "csv")} download="lakepulse-requests.csv">
        all as csv <Download aria-hidden className="size-3.5" />
      </a>
    </>
  );
}
