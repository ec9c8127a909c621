-- Rights of the services' roles, least first. Run by the owner of the schema
-- after each migration; running it again changes nothing. Passwords are set by
-- passwords.sql, or not at all where the platform signs roles in.
DO $$
DECLARE r text;
BEGIN
    FOREACH r IN ARRAY '{lakepulse_writer,lakepulse_query,lakepulse_aggregate}'::text[] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', r);
        END IF;
    END LOOP;
END $$;

REVOKE ALL ON SCHEMA metrics FROM PUBLIC;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA metrics FROM PUBLIC;
GRANT USAGE ON SCHEMA metrics TO lakepulse_writer, lakepulse_query, lakepulse_aggregate;

-- The writer adds rows. It may not change or delete one. To enter the purge gate
-- takes a right on that empty table; to meet a key takes reading it.
GRANT SELECT, INSERT ON metrics.performance_metrics, metrics.usage_events TO lakepulse_writer;
GRANT SELECT, INSERT, UPDATE ON metrics.hour_marks, metrics.stream_positions, metrics.pipeline_status TO lakepulse_writer;
GRANT SELECT, INSERT ON metrics.event_ledger TO lakepulse_writer;
-- It records when a key was last used and which clients an app has.
GRANT SELECT, INSERT, UPDATE ON metrics.app_clients TO lakepulse_writer;
GRANT SELECT (key_id), UPDATE (last_used_at) ON metrics.api_keys TO lakepulse_writer;
GRANT SELECT ON metrics.purge_line, metrics.schema_migrations TO lakepulse_writer;
GRANT SELECT, UPDATE ON metrics.purge_gate TO lakepulse_writer;
-- The first process of an installation records its settings; nobody changes them but an operator.
GRANT SELECT, INSERT ON metrics.settings TO lakepulse_writer;
GRANT EXECUTE ON FUNCTION metrics.ensure_raw_partition(text, date) TO lakepulse_writer;

-- The admin API reads.
GRANT SELECT ON ALL TABLES IN SCHEMA metrics TO lakepulse_query;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA metrics TO lakepulse_query;
REVOKE EXECUTE ON FUNCTION metrics.ensure_raw_partition(text, date) FROM lakepulse_query;

-- Administrators set apps, keys and readers through it.
GRANT INSERT, UPDATE, DELETE ON metrics.apps, metrics.api_keys, metrics.app_principals, metrics.app_readers TO lakepulse_query;

-- The aggregator reads and deletes raw rows and owns what is in the aggregates.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA metrics TO lakepulse_aggregate;
REVOKE INSERT, UPDATE ON metrics.performance_metrics, metrics.usage_events FROM lakepulse_aggregate;
REVOKE INSERT, UPDATE, DELETE ON metrics.schema_migrations, metrics.apps, metrics.api_keys, metrics.app_principals, metrics.app_readers
    FROM lakepulse_aggregate;
REVOKE UPDATE, DELETE ON metrics.settings FROM lakepulse_aggregate;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA metrics TO lakepulse_aggregate;
