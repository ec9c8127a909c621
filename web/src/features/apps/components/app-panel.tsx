import { useState } from "react";

import { time, utc } from "@/format/time";
import { useView } from "@/state/location";
import { onPage } from "@/state/view";
import { Link } from "@/ui/link";
import { Panel } from "@/ui/panel";

import { changes, createKey, loadRecordedApps, type Key, type RecordedApp } from "../api/apps";
import type { Change } from "./apps-page";
import { FirstSteps } from "./first-steps";
import { Rights } from "./rights";
import { Sure } from "./sure";
import { TextForm } from "./text-form";

interface Props {
  readonly app: RecordedApp;
  readonly change: Change;
}

/** One app: its keys, what it sends with, who sends and reads. */
export function AppPanel({ app, change }: Props) {
  const { view } = useView();
  const [fresh, setFresh] = useState<string | null>(null);
  const makeKey = (note: string) =>
    change("Creating the key", async () => {
      setFresh(await createKey(app.app, note));
      return loadRecordedApps(AbortSignal.timeout(10_000));
    });
  return (
    <Panel
      title={app.app}
      note={app.note === "" ? `added ${time(app.createdAt, "moment")} by ${app.createdBy}` : app.note}
      actions={
        <>
          <Link to={{ ...onPage(view, "metrics"), app: app.app }} className="text-sm text-link hover:underline">
            Open its numbers
          </Link>
          <Sure action="Remove app" warning="Its keys stop working at once; its events stay." onSure={() => change("Removing the app", () => changes.remove(app.app))} />
        </>
      }
    >
      <div className="flex flex-col gap-4 px-4 pt-2 pb-4">
        <section aria-label={`Keys of ${app.app}`} className="flex flex-col gap-2">
          <KeyTable app={app} change={change} />
          <TextForm label="Note for a new key" action="Create key" optional onSend={makeKey} />
          {fresh !== null && <FirstSteps app={app.app} secret={fresh} onClose={() => setFresh(null)} />}
        </section>
        <Rights app={app} change={change} />
        {app.clients.length > 0 && (
          <p className="text-sm text-muted-foreground">
            Sends with {app.clients.map(({ client, version, lastSeen }) => `${client} ${version} (last seen ${time(lastSeen, "moment")})`).join(", ")}
          </p>
        )}
      </div>
    </Panel>
  );
}

function KeyTable({ app, change }: Props) {
  if (app.keys.length === 0) return <p className="text-sm text-muted-foreground">No key yet.</p>;
  return (
    <div className="overflow-x-auto">
      <table className="w-full text-sm" aria-label={`Keys of ${app.app}`}>
        <thead>
          <tr className="text-left text-xs text-muted-foreground">
            {["Key", "Note", "Created", "Last used", ""].map((title) => (
              <th key={title} scope="col" className="py-1 pr-4 font-medium">
                {title === "" ? <span className="sr-only">Action</span> : title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {app.keys.map((key) => (
            <KeyRow key={key.id} of={key} change={change} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function KeyRow({ of: key, change }: { readonly of: Key; readonly change: Change }) {
  return (
    <tr className="border-t">
      <td className="tabular py-1.5 pr-4">lp_{key.id}_…</td>
      <td className="py-1.5 pr-4">{key.note}</td>
      <td className="py-1.5 pr-4" title={utc(key.createdAt)}>
        {time(key.createdAt, "moment")} by {key.createdBy}
      </td>
      <td className="py-1.5 pr-4">{key.lastUsedAt === null ? "never" : time(key.lastUsedAt, "moment")}</td>
      <td className="py-1.5 text-right">
        {key.revokedAt === null ? (
          <Sure action="Revoke" of={`key ${key.id}`} warning="What sends with it is refused at once." onSure={() => change("Revoking the key", () => changes.revoke(key.id))} />
        ) : (
          <span className="text-muted-foreground" title={utc(key.revokedAt)}>
            revoked {time(key.revokedAt, "moment")}
          </span>
        )}
      </td>
    </tr>
  );
}
