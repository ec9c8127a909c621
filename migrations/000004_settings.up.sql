-- The recorded settings of the installation: one value for all its processes.
-- The first process records what it was told, or the defaults; after that only
-- `lakepulse settings set` changes a row. Values are text as people type them:
-- 168h, 3, -1.
CREATE TABLE settings (
    name   text        PRIMARY KEY CHECK (name IN ('raw-retention', 'aggregate-retention', 'stream-replicas', 'stream-max-bytes')),
    value  text        NOT NULL CHECK (value <> ''),
    set_by text        NOT NULL DEFAULT '',
    set_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz -- when a recorded value was replaced by another; null for a first one
);
