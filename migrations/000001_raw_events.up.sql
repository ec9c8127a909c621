-- Raw events, and what the writer keeps beside them.
-- The schema "metrics" is made by the migrations runner; names here resolve to it.

-- One row per API request. The primary key is the once-only rule: a redelivered,
-- replayed or retried event meets it and changes nothing. It is also the only
-- B-tree: each further index costs the writer more than it has saved a reader.
CREATE TABLE performance_metrics (
    id               uuid             NOT NULL,
    "timestamp"      timestamptz      NOT NULL,
    received_at      timestamptz      NOT NULL,
    app              text             NOT NULL,
    endpoint         text             NOT NULL,
    method           text             NOT NULL,
    status_code      smallint         NOT NULL,
    response_time_ms double precision NOT NULL,
    seq              bigint,
    instance         text,
    user_id          text,
    error_type       text,
    app_version      text,
    session_id       text,
    interaction_id   text,
    trace_id         text,
    correlation_id   text,
    PRIMARY KEY ("timestamp", id)
) PARTITION BY RANGE ("timestamp");

-- One row per interaction.
CREATE TABLE usage_events (
    id             uuid        NOT NULL,
    "timestamp"    timestamptz NOT NULL,
    received_at    timestamptz NOT NULL,
    app            text        NOT NULL,
    event_type     text        NOT NULL,
    user_id        text        NOT NULL,
    success        boolean,
    seq            bigint,
    page_name      text,
    element_id     text,
    app_version    text,
    session_id     text,
    interaction_id text,
    metadata       jsonb,
    PRIMARY KEY ("timestamp", id)
) PARTITION BY RANGE ("timestamp");

-- Makes the partition of one UTC day. A function with the owner's rights, so
-- that the writer's role needs INSERT and nothing else. It attaches a finished
-- table instead of creating a partition in place: that takes a lock which
-- readers of the parent do not feel. Two callers at once are put in a row by
-- the advisory lock, which ends with the transaction.
CREATE FUNCTION ensure_raw_partition(raw_table text, day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    part text := format('%s_p%s', raw_table, to_char(day, 'YYYYMMDD'));
BEGIN
    IF raw_table NOT IN ('performance_metrics', 'usage_events') THEN
        RAISE EXCEPTION 'no raw table %', raw_table;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('lakepulse.partition'), hashtext(part));
    IF to_regclass(part) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, raw_table);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', raw_table, part,
                   day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    RETURN true;
END $$;

-- The hours that have rows the aggregator has not seen. The writer updates the
-- row also when it is there: a mark that is cleared while a writer's rows are
-- not yet committed must come back, and only an update makes the two collide.
CREATE TABLE hour_marks (
    time_bucket timestamptz NOT NULL,
    metric_type text        NOT NULL CHECK (metric_type IN ('performance', 'usage')),
    version     bigint      NOT NULL DEFAULT 1,
    marked_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (time_bucket, metric_type)
) WITH (fillfactor = 50);

-- Raw rows before purged_before are gone for good and stand in the aggregates.
-- One row. Moved only by the transaction that deletes.
CREATE TABLE purge_line (
    only_row      boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    purged_before timestamptz NOT NULL DEFAULT '-infinity',
    held_by       text,
    updated_at    timestamptz NOT NULL DEFAULT now()
);
INSERT INTO purge_line DEFAULT VALUES;

-- Never holds a row: its table lock keeps the writers' transactions (ROW SHARE)
-- and a purge (EXCLUSIVE) apart. A purge takes it before its snapshot, so it
-- sees every row a writer has put below the line it is about to draw.
CREATE TABLE purge_gate (nothing boolean);

-- Up to where the log is stored. Everything published before stored_through is
-- in the tables above, was there, or lies in the dead letters.
CREATE TABLE stream_positions (
    stream         text        PRIMARY KEY,
    incarnation    timestamptz NOT NULL, -- when the stream was made: a new one starts over
    sequence       bigint      NOT NULL,
    stored_through timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT now()
);

-- What became of events, as ingest, the senders and the writer report it.
CREATE TABLE event_ledger (
    id          uuid        NOT NULL,
    reported_at timestamptz NOT NULL,
    source      text        NOT NULL,
    app         text        NOT NULL,
    metric_type text        NOT NULL,
    outcome     text        NOT NULL, -- accepted, refused, dropped, stored, duplicate, summarised, dead
    reason      text        NOT NULL DEFAULT '',
    events      bigint      NOT NULL,
    PRIMARY KEY (reported_at, id)
);

-- What each part last said of itself, for the pipeline panel.
CREATE TABLE pipeline_status (
    part       text        PRIMARY KEY,
    updated_at timestamptz NOT NULL DEFAULT now(),
    body       jsonb       NOT NULL
);
