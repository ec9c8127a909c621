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
  batchSize?: number;
  /** Milliseconds after which a smaller batch goes; starts again after each flush. Default 10000. */
  flushInterval?: number;
  /** Milliseconds before the second, third, … attempt of a batch. Default `[1000, 2000]`. */
  retryDelays?: number[];
  /** Milliseconds after which an attempt without an answer counts as failed. Default 15000. */
  timeout?: number;
  /** Events kept in this browser while they cannot be sent. Default 1000. */
  maxParked?: number;
  /** Milliseconds within which a repeat of the same type on the same element is no new event. Default 500. */
  debounce?: number;
  /** Record page views, also of client-side navigation. Default true. */
  pageViews?: boolean;
  /** Record clicks on buttons and links. Default true. */
  clicks?: boolean;
  /** Record form submissions. Default true. */
  forms?: boolean;
  /** Mark same-origin requests with the click that caused them. Default true. */
  requests?: boolean;
  /** Collect nothing where the browser says Do Not Track or Global Privacy Control. Default true. */
  respectDoNotTrack?: boolean;
  /** Collect nothing until `optIn()`. Default false. */
  optedOut?: boolean;
  /** Names the page. Default: the path, with the fragment where it is a route (`#/…`); never the query. */
  pageName?: (location: Location) => string;
  /**
   * Called with each event before it is queued: change it in place or return another; `null` or `false` drops it.
   * `id`, `timestamp`, `session_id` and `seq` stay what they are. If it throws the event is dropped and counted.
   */
  before?: (event: UsageEvent) => UsageEvent | null | false | void;
}

/** The account of this session. `created` = `stored` + `pending` + `dropped` + `refused` + `missing`. */
export interface Reconciliation {
  /** Events this session made. */
  created: number;
  /** Of these, how many the server has stored. */
  stored: number;
  /** Still here: waiting to be sent, or sent without an answer. */
  pending: number;
  /** Given up here: no room, no valid JSON, a hook that threw, a batch answered with 4xx. */
  dropped: number;
  /** Refused by the server, each with a reason that is in the console. */
  refused: number;
  /** What none of these explains. */
  missing: number;
}
