import { useState } from "react";

import { Button } from "@/ui/kit";

interface Props {
  readonly action: string;
  /** Beside the action, for those who do not see where the button stands. */
  readonly of?: string;
  readonly warning: string;
  readonly onSure: () => Promise<unknown>;
}

/** An action that cannot be undone: the first click asks, the second does it. */
export function Sure({ action, of, warning, onSure }: Props) {
  const [asked, setAsked] = useState(false);
  if (!asked) {
    return (
      <Button variant="ghost" size="sm" aria-label={of === undefined ? action : `${action} ${of}`} onClick={() => setAsked(true)}>
        {action}
      </Button>
    );
  }
  return (
    <span className="inline-flex items-center gap-2 text-sm">
      {warning}
      <Button variant="outline" size="sm" autoFocus onClick={() => void onSure().finally(() => setAsked(false))}>
        {action}
      </Button>
      <Button variant="ghost" size="sm" onClick={() => setAsked(false)}>
        Cancel
      </Button>
    </span>
  );
}
