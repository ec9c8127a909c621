import { createContext, useCallback, useContext, useMemo, useRef, useState, type ReactNode } from "react";

/** Loads again and says whether that worked. */
export type Reload = () => Promise<boolean>;

interface Refreshing {
  readonly refreshing: boolean;
  readonly refresh: () => void;
  /** Takes part in every refresh until the returned function is called. */
  readonly join: (reload: Reload) => () => void;
}

const Context = createContext<Refreshing | null>(null);

interface Props {
  /** Called once after a refresh in which any part failed. */
  readonly onFailure: () => void;
  readonly children: ReactNode;
}

/** One button reloads all that is on the page, in parallel. Nothing reloads by itself. */
export function RefreshProvider({ onFailure, children }: Props) {
  const parts = useRef(new Set<Reload>());
  const running = useRef(false);
  const [refreshing, setRefreshing] = useState(false);

  const join = useCallback((reload: Reload) => {
    parts.current.add(reload);
    return () => void parts.current.delete(reload);
  }, []);

  const refresh = useCallback(() => {
    if (running.current) return;
    running.current = true;
    setRefreshing(true);
    void Promise.all([...parts.current].map((reload) => reload())).then((worked) => {
      running.current = false;
      setRefreshing(false);
      if (worked.includes(false)) onFailure();
    });
  }, [onFailure]);

  const value = useMemo(() => ({ refreshing, refresh, join }), [refreshing, refresh, join]);
  return <Context value={value}>{children}</Context>;
}

export function useRefresh(): Refreshing {
  const value = useContext(Context);
  if (value === null) throw new Error("useRefresh needs a RefreshProvider around it");
  return value;
}
