import { getJson, sendJson } from "@/api/client";
import type { Wire } from "@/api/wire";

export interface Key {
  readonly id: string;
  readonly note: string;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly revokedAt: Date | null;
  readonly lastUsedAt: Date | null;
}

export interface Reader {
  readonly type: "user" | "group";
  readonly name: string;
}

export interface Client {
  readonly client: string;
  readonly version: string;
  readonly lastSeen: Date;
}

export interface RecordedApp {
  readonly app: string;
  readonly note: string;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly keys: readonly Key[];
  readonly principals: readonly string[];
  readonly readers: readonly Reader[];
  readonly clients: readonly Client[];
}

const path = "/api/v1/admin";
const appPath = (app: string) => `${path}/apps/${encodeURIComponent(app)}`;

type List = Wire<"AdminAppList">;

export async function loadRecordedApps(signal: AbortSignal): Promise<RecordedApp[]> {
  return toApps(await getJson<List>(`${path}/apps`, {}, signal));
}

/** Every change answers with the record as it is then. */
export const changes = {
  add: async (app: string) => toApps(await sendJson<List>("POST", `${path}/apps`, { app })),
  remove: async (app: string) => toApps(await sendJson<List>("DELETE", appPath(app))),
  revoke: async (id: string) => toApps(await sendJson<List>("POST", `${path}/keys/${encodeURIComponent(id)}/revoke`)),
  addReader: async (app: string, reader: Reader) => toApps(await sendJson<List>("POST", `${appPath(app)}/readers`, reader)),
  removeReader: async (app: string, reader: Reader) => toApps(await sendJson<List>("POST", `${appPath(app)}/readers/remove`, reader)),
  addPrincipal: async (app: string, principal: string) => toApps(await sendJson<List>("POST", `${appPath(app)}/principals`, { principal })),
  removePrincipal: async (app: string, principal: string) => toApps(await sendJson<List>("POST", `${appPath(app)}/principals/remove`, { principal })),
} as const;

/** The whole key, which no later answer has. */
export async function createKey(app: string, note: string): Promise<string> {
  return (await sendJson<Wire<"CreatedKey">>("POST", `${appPath(app)}/keys`, { note })).key;
}

/** When the app was last heard from in the last day, and how much; null when it was not. */
export async function loadArrival(app: string, signal: AbortSignal): Promise<{ readonly at: Date; readonly count: number } | null> {
  const { apps } = await getJson<Wire<"AppList">>("/api/v1/apps", { time_range: "24h" }, signal);
  const seen = apps.find((summary) => summary.app === app);
  return seen === undefined ? null : { at: new Date(seen.last_seen), count: seen.requests + seen.events };
}

const date = (text: string | undefined) => (text === undefined ? null : new Date(text));

function toApps({ apps }: List): RecordedApp[] {
  return apps.map((app) => ({
    app: app.app,
    note: app.note ?? "",
    createdAt: new Date(app.created_at),
    createdBy: app.created_by,
    keys: app.keys.map((key) => ({
      id: key.id,
      note: key.note ?? "",
      createdAt: new Date(key.created_at),
      createdBy: key.created_by,
      revokedAt: date(key.revoked_at),
      lastUsedAt: date(key.last_used_at),
    })),
    principals: app.principals,
    readers: app.readers,
    clients: app.clients.map((client) => ({ client: client.client, version: client.version, lastSeen: new Date(client.last_seen) })),
  }));
}
