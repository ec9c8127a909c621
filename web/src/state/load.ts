import { useCallback, useEffect, useRef, useState } from "react";

import { ApiFailure, isAbort } from "@/api/client";

import { useRefresh } from "./refresh";

export interface Loaded<Data> {
  /** The last answer. While `loading` it may belong to what was chosen before. */
  readonly data: Data | null;
  readonly failure: ApiFailure | null;
  readonly loading: boolean;
}

interface State<Data> extends Loaded<Data> {
  readonly key: string;
}

/**
 * Loads when `key` changes and at every refresh; `key` names everything `load` depends on. An answer that comes after
 * the next question is dropped. Nothing is kept for later: what is on screen was asked for by this view.
 */
export function useLoad<Data>(key: string, load: (signal: AbortSignal) => Promise<Data>): Loaded<Data> {
  const [state, setState] = useState<State<Data>>({ key, data: null, failure: null, loading: true });
  const { join } = useRefresh();
  const latest = useRef({ key, load });
  const running = useRef<AbortController | null>(null);

  useEffect(() => {
    latest.current = { key, load };
  });

  const run = useCallback(async (): Promise<boolean> => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    const asked = latest.current;
    setState((before) => ({ ...before, key: asked.key, loading: true }));
    try {
      const data = await asked.load(own.signal);
      if (own.signal.aborted) return true;
      setState({ key: asked.key, data, failure: null, loading: false });
      return true;
    } catch (cause) {
      if (own.signal.aborted || isAbort(cause)) return true;
      setState({ key: asked.key, data: null, failure: failureOf(cause), loading: false });
      return false;
    }
  }, []);

  useEffect(() => {
    void run();
    return () => running.current?.abort();
  }, [key, run]);

  useEffect(() => join(run), [join, run]);

  // Between a change of the key and the effect above one paint would show old data as if it were settled.
  return state.key === key ? state : { ...state, loading: true };
}

function failureOf(cause: unknown): ApiFailure {
  if (cause instanceof ApiFailure) return cause;
  console.error(cause);
  return new ApiFailure("broken", "The answer could not be shown");
}

/** True once `waiting` has lasted for `milliseconds`. */
export function useLongerThan(waiting: boolean, milliseconds: number): boolean {
  const [long, setLong] = useState(false);
  useEffect(() => {
    if (!waiting) return undefined;
    const timer = setTimeout(() => setLong(true), milliseconds);
    return () => {
      clearTimeout(timer);
      setLong(false);
    };
  }, [waiting, milliseconds]);
  return waiting && long;
}
