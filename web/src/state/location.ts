import { useCallback, useMemo, useSyncExternalStore } from "react";

import { formatView, parseView, type View } from "./view";

const changed = new EventTarget();

function subscribe(notify: () => void): () => void {
  window.addEventListener("popstate", notify);
  changed.addEventListener("change", notify);
  return () => {
    window.removeEventListener("popstate", notify);
    changed.removeEventListener("change", notify);
  };
}

/**
 * Goes to a view. `replace` is for what nobody wants to step back through, such as each letter of a filter.
 */
export function go(view: View, how: "push" | "replace" = "push"): void {
  const address = window.location.pathname + formatView(view);
  if (address === window.location.pathname + window.location.search) return;
  if (how === "push") window.history.pushState({ inside: true }, "", address);
  else window.history.replaceState(window.history.state, "", address);
  changed.dispatchEvent(new Event("change"));
}

export function href(view: View): string {
  return window.location.pathname + formatView(view);
}

/** Back to where the person came from inside the dashboard, or to `otherwise` when a link led straight here. */
export function back(otherwise: View): void {
  const state = window.history.state as { inside?: boolean } | null;
  if (state?.inside === true) window.history.back();
  else go(otherwise);
}

export interface Located {
  readonly view: View;
  readonly change: (patch: Partial<View>, how?: "push" | "replace") => void;
}

export function useView(): Located {
  const search = useSyncExternalStore(subscribe, () => window.location.search);
  const view = useMemo(() => parseView(search), [search]);
  const change = useCallback((patch: Partial<View>, how: "push" | "replace" = "push") => {
    go({ ...parseView(window.location.search), ...patch }, how);
  }, []);
  return { view, change };
}
