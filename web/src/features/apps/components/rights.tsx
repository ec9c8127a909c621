import { useState, type ReactNode } from "react";

import { Button } from "@/ui/kit";
import { Select } from "@/ui/select";

import { changes, type Reader, type RecordedApp } from "../api/apps";
import type { Change } from "./apps-page";
import { TextForm } from "./text-form";

interface Props {
  readonly app: RecordedApp;
  readonly change: Change;
}

/** Who reads the app's numbers, and which service principals send for it. */
export function Rights({ app, change }: Props) {
  const [type, setType] = useState<Reader["type"]>("user");
  return (
    <div className="grid gap-4 lg:grid-cols-2">
      <Names
        title="Readers"
        hint="See this app's numbers and nothing else."
        names={app.readers.map((reader) => ({ text: `${reader.type} ${reader.name}`, remove: () => change("Removing the reader", () => changes.removeReader(app.app, reader)) }))}
      >
        <TextForm label={type === "user" ? "User name" : "Name of the group"} action="Add reader" onSend={(name) => change("Adding the reader", () => changes.addReader(app.app, { type, name }))}>
          <Select label={`Type of reader of ${app.app}`} value={type} options={[{ value: "user", text: "User" }, { value: "group", text: "Group" }]} onChange={(value) => setType(value === "group" ? "group" : "user")} />
        </TextForm>
      </Names>
      <Names
        title="Service principals"
        hint="What they send counts for this app."
        names={app.principals.map((principal) => ({ text: principal, remove: () => change("Removing the service principal", () => changes.removePrincipal(app.app, principal)) }))}
      >
        <TextForm label="Application id" action="Add service principal" onSend={(id) => change("Adding the service principal", () => changes.addPrincipal(app.app, id))} />
      </Names>
    </div>
  );
}

interface NamesProps {
  readonly title: string;
  readonly hint: string;
  readonly names: readonly { readonly text: string; readonly remove: () => Promise<boolean> }[];
  readonly children: ReactNode;
}

function Names({ title, hint, names, children }: NamesProps) {
  return (
    <section className="flex flex-col gap-2">
      <h3 className="text-sm font-medium">
        {title} <span className="font-normal text-muted-foreground">{hint}</span>
      </h3>
      <ul className="flex flex-wrap gap-2">
        {names.map(({ text, remove }) => (
          <li key={text} className="inline-flex items-center gap-1 rounded-md border py-0.5 pr-0.5 pl-2 text-sm">
            {text}
            <Button variant="ghost" size="icon-sm" className="size-6" aria-label={`Remove ${text}`} onClick={() => void remove()}>
              ×
            </Button>
          </li>
        ))}
        {names.length === 0 && <li className="text-sm text-muted-foreground">None.</li>}
      </ul>
      {children}
    </section>
  );
}
