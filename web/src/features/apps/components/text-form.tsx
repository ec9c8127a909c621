import { useId, useState, type ReactNode, type SyntheticEvent } from "react";

import { Button, Input } from "@/ui/kit";

interface Props {
  readonly label: string;
  readonly action: string;
  /** A form may be sent without text. */
  readonly optional?: boolean;
  /** Before the text: a choice that goes with it. */
  readonly children?: ReactNode;
  /** The text is cleared when the promise is true. */
  readonly onSend: (text: string) => Promise<boolean>;
}

/** One line of text and what is done with it. */
export function TextForm({ label, action, optional = false, children, onSend }: Props) {
  const id = useId();
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const send = (event: SyntheticEvent) => {
    event.preventDefault();
    setBusy(true);
    void onSend(text.trim())
      .then((done) => done && setText(""))
      .finally(() => setBusy(false));
  };
  return (
    <form onSubmit={send} className="flex flex-wrap items-end gap-2">
      {children}
      <div className="flex flex-col gap-1">
        <label htmlFor={id} className="text-xs text-muted-foreground">
          {label}
        </label>
        <Input id={id} value={text} maxLength={255} autoComplete="off" onChange={(event) => setText(event.target.value)} className="h-8 w-56 bg-card" />
      </div>
      <Button type="submit" size="sm" variant="outline" disabled={busy || (!optional && text.trim() === "")} className="bg-card">
        {action}
      </Button>
    </form>
  );
}
