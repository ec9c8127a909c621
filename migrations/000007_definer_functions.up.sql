-- Functions with the owner's rights name every object with its schema and look
-- nothing up in the caller's temporary schema: search_path ends with pg_temp, which
-- is else looked in first. Before, a role that may call ensure_raw_partition could
-- put a table or an operator of its own in the way and have the owner run it.
DO $migration$
DECLARE
    s text := current_schema();
BEGIN
    EXECUTE format($f$
CREATE OR REPLACE FUNCTION %1$I.ensure_raw_partition(raw_table text, day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp AS $$
DECLARE
    part text := pg_catalog.format('%%s_p%%s', raw_table, pg_catalog.to_char(day, 'YYYYMMDD'));
BEGIN
    IF raw_table NOT IN ('performance_metrics', 'usage_events') THEN
        RAISE EXCEPTION 'no raw table %%', raw_table;
    END IF;
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('lakepulse.partition'), pg_catalog.hashtext(part));
    IF pg_catalog.to_regclass(pg_catalog.format('%%I.%%I', %1$L, part)) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE pg_catalog.format('CREATE TABLE %1$I.%%I (LIKE %1$I.%%I INCLUDING ALL)', part, raw_table);
    EXECUTE pg_catalog.format('ALTER TABLE %1$I.%%I ATTACH PARTITION %1$I.%%I FOR VALUES FROM (%%L) TO (%%L)', raw_table, part,
                   day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    RETURN true;
END $$
$f$, s);

    EXECUTE format($f$
CREATE OR REPLACE FUNCTION %1$I.drop_raw_partition(raw_table text, day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    part   text := pg_catalog.format('%%s_p%%s', raw_table, pg_catalog.to_char(day, 'YYYYMMDD'));
    filled boolean;
BEGIN
    IF raw_table NOT IN ('performance_metrics', 'usage_events') THEN
        RAISE EXCEPTION 'no raw table %%', raw_table;
    END IF;
    IF pg_catalog.to_regclass(pg_catalog.format('%%I.%%I', %1$L, part)) IS NULL
       OR (SELECT purged_before FROM %1$I.purge_line) < (day + 1)::timestamp AT TIME ZONE 'UTC' THEN
        RETURN false;
    END IF;
    -- Nobody can insert from here on, so an empty partition stays empty.
    EXECUTE pg_catalog.format('LOCK TABLE %1$I.%%I IN SHARE ROW EXCLUSIVE MODE', part);
    EXECUTE pg_catalog.format('SELECT EXISTS (SELECT FROM %1$I.%%I)', part) INTO filled;
    IF filled THEN
        RETURN false;
    END IF;
    EXECUTE pg_catalog.format('DROP TABLE %1$I.%%I', part);
    RETURN true;
END $$
$f$, s);

    EXECUTE format('REVOKE EXECUTE ON FUNCTION %1$I.ensure_raw_partition(text, date), %1$I.drop_raw_partition(text, date) FROM PUBLIC', s);
END $migration$;
