import { useState } from "react";

import { ApiFailure } from "@/api/client";
import { useLoad } from "@/state/load";
import { Loadable } from "@/ui/loadable";
import { PageHead } from "@/ui/page-head";
import { Message } from "@/ui/states";

import { changes, loadRecordedApps, type RecordedApp } from "../api/apps";
import { AppPanel } from "./app-panel";
import { TextForm } from "./text-form";

/** Makes a change and shows the record it answers with. The promise is false when the change failed. */
export type Change = (what: string, run: () => Promise<RecordedApp[]>) => Promise<boolean>;

/** Who may send and who may read: apps, their keys, service principals and readers. */
export default function AppsPage() {
  const loaded = useLoad("apps", loadRecordedApps);
  const [changed, setChanged] = useState<{ readonly from: RecordedApp[] | null; readonly apps: RecordedApp[] } | null>(null);
  const [failure, setFailure] = useState("");
  // What a change answered is newer than what was loaded before it, and older than what a refresh loads after it.
  const apps = changed !== null && changed.from === loaded.data ? changed.apps : loaded.data;

  const change: Change = async (what, run) => {
    try {
      setChanged({ from: loaded.data, apps: await run() });
      setFailure("");
      return true;
    } catch (cause) {
      setFailure(`${what} failed: ${cause instanceof ApiFailure ? cause.message : "the answer could not be read"}`);
      return false;
    }
  };

  return (
    <>
      <PageHead title="Apps" completeTo={null} />
      <div className="flex flex-wrap items-end gap-4">
        <TextForm label="Name of a new app" action="Add app" onSend={(app) => change("Adding the app", () => changes.add(app))} />
        <p role="alert" className="text-destructive">
          {failure}
        </p>
      </div>
      <Loadable loaded={{ ...loaded, data: apps }} what="apps" className="h-96">
        {(list) => (list.length === 0 ? <Empty /> : <>{list.map((app) => <AppPanel key={app.app} app={app} change={change} />)}</>)}
      </Loadable>
    </>
  );
}

function Empty() {
  return (
    <Message title="No app is recorded" className="min-h-60 rounded-lg border bg-card">
      <p>Add an app, create its key, paste the lines into the app, and watch its first request arrive here.</p>
    </Message>
  );
}
