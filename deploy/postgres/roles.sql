-- Rights of the services' roles, statement by statement. Run by the owner of the
-- schema after each migration; running it again changes nothing. The roles are made
-- by init.sql, or by the platform.
--
-- What a role may do no longer is taken away first, so that an upgrade narrows rights.
REVOKE ALL ON ALL TABLES IN SCHEMA metrics FROM lakepulse_writer, lakepulse_query, lakepulse_aggregate;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM lakepulse_writer, lakepulse_query, lakepulse_aggregate;

-- Nobody else: neither what is there nor what a later migration makes.
REVOKE ALL ON SCHEMA metrics FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA metrics FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC;

-- Temporary objects come before every schema in a search path: who can make them
-- can put a function or view of their own in front of one that the owner calls.
DO $$ BEGIN
    EXECUTE format('REVOKE TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC', current_database());
END $$;

GRANT USAGE ON SCHEMA metrics TO lakepulse_writer, lakepulse_query, lakepulse_aggregate;
GRANT SELECT ON metrics.schema_migrations TO lakepulse_writer, lakepulse_query, lakepulse_aggregate;

-- The writer adds rows. It may not change or delete one. To enter the purge gate
-- takes a right on that empty table; to meet a key takes reading it.
GRANT SELECT, INSERT ON metrics.performance_metrics, metrics.usage_events TO lakepulse_writer;
GRANT SELECT, INSERT, UPDATE ON metrics.hour_marks, metrics.stream_positions, metrics.pipeline_status TO lakepulse_writer;
GRANT SELECT, INSERT ON metrics.event_ledger TO lakepulse_writer;
-- It records when a key was last used and which clients an app has.
GRANT SELECT, INSERT, UPDATE ON metrics.app_clients TO lakepulse_writer;
GRANT SELECT (key_id), UPDATE (last_used_at) ON metrics.api_keys TO lakepulse_writer;
GRANT SELECT ON metrics.purge_line TO lakepulse_writer;
GRANT SELECT, UPDATE ON metrics.purge_gate TO lakepulse_writer;
-- The first process of an installation records its settings; nobody changes them but an operator.
GRANT SELECT, INSERT ON metrics.settings TO lakepulse_writer;
GRANT EXECUTE ON FUNCTION metrics.ensure_raw_partition(text, date) TO lakepulse_writer;

-- The admin API reads, and administrators set apps, keys and readers through it.
GRANT SELECT ON ALL TABLES IN SCHEMA metrics TO lakepulse_query;
GRANT INSERT, UPDATE, DELETE ON metrics.apps, metrics.api_keys, metrics.app_principals, metrics.app_readers TO lakepulse_query;

-- The aggregator reads and deletes raw rows, and owns what is in the aggregates.
GRANT SELECT ON ALL TABLES IN SCHEMA metrics TO lakepulse_aggregate;
REVOKE SELECT ON metrics.api_keys FROM lakepulse_aggregate;
GRANT DELETE ON metrics.performance_metrics, metrics.usage_events TO lakepulse_aggregate;
GRANT INSERT, UPDATE, DELETE ON metrics.hour_marks, metrics.aggregate_keys, metrics.aggregate_names, metrics.aggregate_hours, metrics.aggregate_days,
    metrics.aggregate_totals, metrics.hour_receipts, metrics.day_receipts, metrics.aggregation_runs, metrics.app_versions, metrics.user_numbers TO lakepulse_aggregate;
GRANT INSERT, UPDATE ON metrics.pipeline_status TO lakepulse_aggregate;
GRANT INSERT, DELETE ON metrics.event_ledger TO lakepulse_aggregate;
GRANT DELETE ON metrics.app_clients TO lakepulse_aggregate;
GRANT UPDATE ON metrics.purge_line, metrics.purge_gate, metrics.aggregation_lease TO lakepulse_aggregate;
GRANT INSERT ON metrics.settings TO lakepulse_aggregate;

-- Functions. Those that only compute go to who reads aggregates; the two with the
-- owner's rights to the one role that needs each.
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA metrics TO lakepulse_query, lakepulse_aggregate;
REVOKE EXECUTE ON FUNCTION metrics.ensure_raw_partition(text, date), metrics.drop_raw_partition(text, date) FROM lakepulse_query, lakepulse_aggregate;
GRANT EXECUTE ON FUNCTION metrics.drop_raw_partition(text, date) TO lakepulse_aggregate;
