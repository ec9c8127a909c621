-- Apps and who may send and read their numbers, as administrators set it. The
-- database is the record; the event log's key bucket carries a copy to ingest,
-- which has no database.

-- One row per app that an administrator knows. Events of other apps are refused
-- from people and taken from a key or a service principal only.
CREATE TABLE apps (
    app        text        PRIMARY KEY CHECK (app ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
    note       text        NOT NULL DEFAULT '' CHECK (length(note) <= 200),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text        NOT NULL DEFAULT '' -- user id, or "command line"
);

-- API keys. The secret is shown once to the person who makes the key; only its
-- SHA-256 is kept. A revoked key stays, so that nobody can make its id again.
CREATE TABLE api_keys (
    key_id        text        PRIMARY KEY CHECK (key_id ~ '^[a-z2-7]{12}$'),
    app           text        NOT NULL REFERENCES apps ON DELETE CASCADE,
    secret_sha256 bytea       NOT NULL CHECK (length(secret_sha256) = 32),
    note          text        NOT NULL DEFAULT '' CHECK (length(note) <= 200),
    created_at    timestamptz NOT NULL,
    created_by    text        NOT NULL DEFAULT '',
    revoked_at    timestamptz,
    last_used_at  timestamptz -- as ingest reports it, to the minute
);
CREATE INDEX api_keys_by_app ON api_keys (app);

-- The service principal of an app: what it sends counts for that app.
CREATE TABLE app_principals (
    principal  text        PRIMARY KEY CHECK (principal <> '' AND principal = lower(principal) AND length(principal) <= 255),
    app        text        NOT NULL REFERENCES apps ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text        NOT NULL DEFAULT ''
);

-- People and groups who may read one app's numbers and nothing else. Names are
-- compared as the workspace spells them, ASCII letters without case.
CREATE TABLE app_readers (
    app         text        NOT NULL REFERENCES apps ON DELETE CASCADE,
    reader_type text        NOT NULL CHECK (reader_type IN ('user', 'group')),
    reader      text        NOT NULL CHECK (reader <> '' AND length(reader) <= 255),
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  text        NOT NULL DEFAULT '',
    PRIMARY KEY (app, reader_type, reader)
);

-- Which client libraries an app sends with, as their User-Agent says: what warns
-- of old ones. Ingest reports at most 20 of an app.
CREATE TABLE app_clients (
    app            text        NOT NULL,
    client         text        NOT NULL CHECK (length(client) <= 100), -- for example lakepulse-go
    client_version text        NOT NULL CHECK (length(client_version) <= 100),
    last_seen_at   timestamptz NOT NULL,
    PRIMARY KEY (app, client, client_version)
);
