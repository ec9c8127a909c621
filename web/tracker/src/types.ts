/** The event types Lakepulse knows by name; any other name matching `^[a-z][a-z0-9_.]{0,99}$` is a custom event. */
export type EventType =
  | 'page_view'
  | 'button_click'
  | 'form_submit'
  | 'query_executed'
  | 'model_invoked'
  | 'preference_changed'
  | 'data_source_selected'
  | 'schema_detected'
  | 'file_uploaded'
  | 'export_triggered'
  | (string & {});

/** What the caller of `track` may say about an event. */
export interface EventDetail {
  /** At most 255 characters; the name of the current page when absent. */
  page_name?: string;
  /** At most 255 characters. The same type and element again within the debounce time is one event. */
  element_id?: string;
  /** Whether what the user attempted worked; leave out where that is no question. */
  success?: boolean | null;
  /** A JSON object of at most 8 KiB. */
  metadata?: Record<string, unknown>;
}

/** An event as it is sent. */
export interface UsageEvent extends EventDetail {
  /** UUIDv7, made here once; every retry carries the same. */
  id: string;
  /** RFC 3339 UTC, by the browser's clock as corrected by the server's. */
  timestamp: string;
  event_type: EventType;
  /** One browser tab. */
  session_id: string;
  /** Counts the session's events from 1; a gap is a proven loss. */
  seq: number;
  /** The click or submit; requests it caused carry it in `X-Lakepulse-Interaction-Id`. */
  interaction_id?: string;
  app?: string;
  app_version?: string;
}

export interface Options {
  /** Where the API is mounted, without `/api/v1/...`. Default `''`: the page's own origin. */
  endpoint?: string;
  /** Sent with each event where the server does not know the app by its key. Default: not sent. */
  app?: string;
  /** Sent with each event. Default: not sent. */
  appVersion?: string;
  /** Events that make a batch go at once. Default 20. */
  batch?: number;
  /** Milliseconds after which a smaller batch goes; starts again after each flush. Default 10000. */
  interval?: number;
  /** Milliseconds before the second attempt of a batch; twice that before the third and last. Default 1000. */
  retry?: number;
  /** Events kept in this browser while they cannot be sent. Default 1000. */
  capacity?: number;
  /** Milliseconds within which a repeat of the same type on the same element is no new event. Default 500. */
  debounce?: number;
  /**
   * Requests to paths of the page's own origin that begin so name the click that caused them, by two headers: `'/api/'`.
   * They must not redirect to another origin. Default none: `fetch` and `XMLHttpRequest` are left alone.
   */
  link?: string;
  /**
   * `false` (or 0): collect nothing until `optIn()`. `true` (or 1): collect also where the browser says Do Not Track or
   * Global Privacy Control. Default: collect unless the browser says so. `optOut()` and `optIn()` count before this.
   */
  consent?: boolean | 0 | 1;
  /**
   * Called with each event before it is queued; returns it, changed or not, or another. Anything falsy drops the event.
   * `id`, `timestamp`, `session_id` and `seq` stay what they are. If it throws the event is dropped and counted.
   */
  before?: (event: UsageEvent) => UsageEvent | null | undefined | false;
}

/** The account of this session. `created` = `stored` + `pending` + `dropped` + `missing`. */
export interface Reconciliation {
  /** Events this session made. */
  created: number;
  /** Of these, how many the server has stored. */
  stored: number;
  /** Still here: waiting to be sent, or sent without an answer. */
  pending: number;
  /** Given up: no room, no JSON, a hook that threw, or refused by the server, for the reason in the console. */
  dropped: number;
  /** What none of these explains; below zero when some of the pending ones are stored already. */
  missing: number;
}
