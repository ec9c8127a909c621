import type { Person } from "@/api/map";
import { count, percent } from "@/format/number";
import { time, utc } from "@/format/time";
import type { Trust } from "@/series/trust";
import type { View } from "@/state/view";

import { DataTable, downloadTable, type Column } from "./data-table";
import { extent } from "./extent";
import { CsvButton, Panel } from "./panel";
import { SourceInfo } from "./source-info";

interface Props {
  readonly title: string;
  readonly note?: string;
  readonly people: readonly Person[];
  readonly trust: Trust;
  readonly to?: (person: Person) => View;
}

const columns: Column<Person>[] = [
  { key: "user", title: "User", value: (person) => person.user, className: "max-w-72 truncate" },
  { key: "requests", title: "Requests", numeric: true, value: (person) => person.requests, show: (person) => count(person.requests) },
  { key: "errors", title: "Errors", numeric: true, value: (person) => person.errors, show: (person) => count(person.errors), hint: (person) => percent(person.errors / Math.max(1, person.requests)) },
  { key: "events", title: "Events", numeric: true, value: (person) => person.events, show: (person) => count(person.events) },
  { key: "last_seen", title: "Last seen", numeric: true, value: (person) => person.lastSeen.toISOString(), show: (person) => time(person.lastSeen, "moment"), hint: (person) => utc(person.lastSeen) },
];

export function PeoplePanel({ title, note, people, trust, to }: Props) {
  return (
    <Panel
      title={title}
      note={[note, extent(trust)].filter((text) => text !== undefined).join(", ")}
      actions={
        <>
          <SourceInfo of={title} trust={trust} figures="users" />
          <CsvButton of={title} onClick={() => downloadTable("users", columns, people)} />
        </>
      }
    >
      <DataTable
        name="users"
        label={title}
        columns={columns}
        rows={people}
        rowKey={(person) => person.user}
        defaultSort="-requests"
        empty="Nobody in the raw window of this range."
        className="max-h-96"
        {...(to === undefined ? {} : { to })}
      />
    </Panel>
  );
}
