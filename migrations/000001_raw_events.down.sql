DROP TABLE pipeline_status;
DROP TABLE event_ledger;
DROP TABLE stream_positions;
DROP TABLE purge_gate;
DROP TABLE purge_line;
DROP TABLE hour_marks;
DROP FUNCTION ensure_raw_partition(text, date);
DROP TABLE usage_events;
DROP TABLE performance_metrics;
