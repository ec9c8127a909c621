import { bytes, count } from "@/format/number";
import { time, utc } from "@/format/time";
import { useLoad } from "@/state/load";
import { useView } from "@/state/location";
import { onPage } from "@/state/view";
import { Loadable } from "@/ui/loadable";
import { PageHead } from "@/ui/page-head";
import { Panel } from "@/ui/panel";
import { Tile, Tiles } from "@/ui/tiles";

import { loadDeadLetter, type DeadLetterContent } from "../api/dead";

/** One message that could not be stored, with all that is known of it. */
export default function DeadLetterPage() {
  const { view } = useView();
  const loaded = useLoad(view.sequence, (signal) => loadDeadLetter(view.sequence, signal));
  return (
    <>
      <PageHead title={`Dead letter ${view.sequence}`} completeTo={null} parent={onPage(view, "pipeline")} />
      <Loadable loaded={loaded} what="the dead letter" className="h-[40rem]">
        {(letter) => <Letter letter={letter} />}
      </Loadable>
    </>
  );
}

function Letter({ letter }: { readonly letter: DeadLetterContent }) {
  return (
    <div className="flex flex-col gap-4">
      <Panel title="Reason">
        <p className="px-4 pb-3">{letter.reason}</p>
      </Panel>
      <Tiles>
        <Tile name="First seen" hint={utc(letter.firstSeen)}>
          {time(letter.firstSeen, "moment")}
        </Tile>
        <Tile name="Subject">{letter.subject}</Tile>
        <Tile name="Events">{count(letter.events)}</Tile>
        <Tile name="Size">{bytes(letter.size)}</Tile>
        <Tile name="Given up by">{letter.version || "–"}</Tile>
      </Tiles>
      <Panel title="Headers" note={String(letter.headers.length)}>
        <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-1 px-4 pb-3 font-mono text-xs">
          {letter.headers.map(({ name, value }) => (
            <div key={name} className="contents">
              <dt className="text-muted-foreground">{name}</dt>
              <dd className="break-all">{value}</dd>
            </div>
          ))}
        </dl>
      </Panel>
      <Panel title="Content" note={`${letter.encoding}${letter.truncated ? ", cut at 1 MiB" : ""}`}>
        <pre tabIndex={0} aria-label="Content of the message" className="max-h-[32rem] overflow-auto px-4 pb-4 text-xs break-all whitespace-pre-wrap">
          {letter.content}
        </pre>
      </Panel>
    </div>
  );
}
