import { X } from "lucide-react";
import { useEffect } from "react";

interface Props {
  readonly message: string | null;
  readonly onClose: () => void;
}

const visibleMs = 8000;

/** One message at a time, read out politely, gone by itself. */
export function Toast({ message, onClose }: Props) {
  useEffect(() => {
    if (message === null) return undefined;
    const timer = setTimeout(onClose, visibleMs);
    return () => clearTimeout(timer);
  }, [message, onClose]);
  return (
    <div role="status" aria-live="polite" className="pointer-events-none fixed inset-x-0 bottom-4 z-50 flex justify-center px-4">
      {message !== null && (
        <div className="pointer-events-auto flex items-center gap-3 rounded-md border bg-popover py-2 pr-2 pl-4 text-sm shadow-md">
          <span aria-hidden className="size-2 rounded-full bg-destructive" />
          {message}
          <button type="button" aria-label="Close message" onClick={onClose} className="rounded p-1 hover:bg-muted">
            <X aria-hidden className="size-4" />
          </button>
        </div>
      )}
    </div>
  );
}
