import { useCallback, useSyncExternalStore } from "react";

export type Theme = "light" | "dark";

const key = "lakepulse.theme";
const changed = new EventTarget();

function current(): Theme {
  return document.documentElement.classList.contains("dark") ? "dark" : "light";
}

function subscribe(notify: () => void): () => void {
  changed.addEventListener("change", notify);
  return () => changed.removeEventListener("change", notify);
}

/** The theme in force; public/theme.js has set it before the first paint. */
export function useTheme(): { theme: Theme; toggle: () => void } {
  const theme = useSyncExternalStore(subscribe, current);
  const toggle = useCallback(() => {
    const next: Theme = current() === "dark" ? "light" : "dark";
    document.documentElement.classList.remove("light", "dark");
    document.documentElement.classList.add(next);
    try {
      localStorage.setItem(key, next);
    } catch (cause) {
      // Storage may be forbidden; the choice then lasts for this page only.
      console.debug("theme preference not kept", cause);
    }
    changed.dispatchEvent(new Event("change"));
  }, []);
  return { theme, toggle };
}
