import { bytes, count } from "@/format/number";
import { time, utc } from "@/format/time";
import type { View } from "@/state/view";
import { DataTable, downloadTable, type Column } from "@/ui/data-table";
import { CsvButton, Panel } from "@/ui/panel";

import type { DeadLetter, DeadLetterList } from "../api/dead";

interface Props {
  readonly list: DeadLetterList;
  readonly to: (sequence: number) => View;
}

const columns: Column<DeadLetter>[] = [
  { key: "sequence", title: "Message", value: (row) => row.sequence },
  { key: "reason", title: "Reason", value: (row) => row.reason, hint: (row) => row.reason, className: "max-w-[32rem] truncate" },
  { key: "first_seen", title: "First seen", value: (row) => row.firstSeen.toISOString(), show: (row) => time(row.firstSeen, "moment"), hint: (row) => utc(row.firstSeen) },
  { key: "subject", title: "Subject", value: (row) => row.subject },
  { key: "events", title: "Events", numeric: true, value: (row) => row.events, show: (row) => count(row.events) },
  { key: "size", title: "Size", numeric: true, value: (row) => row.size, show: (row) => bytes(row.size) },
  { key: "version", title: "Given up by", value: (row) => row.version },
];

/** Messages that could not be stored for a reason of their own; `lakepulse dead` requeues or drops them. */
export function DeadLetters({ list: { count: all, letters }, to }: Props) {
  const note = letters.length < all ? `the newest ${count(letters.length)} of ${count(all)}` : count(all);
  return (
    <Panel title="Dead letters" note={note} actions={<CsvButton of="Dead letters" onClick={() => downloadTable("dead-letters", columns, letters)} />}>
      <DataTable name="dead" label="Dead letters" columns={columns} rows={letters} rowKey={(row) => String(row.sequence)} defaultSort="-sequence" to={(row) => to(row.sequence)} empty="None: everything that arrived could be stored." className="max-h-96" />
    </Panel>
  );
}
