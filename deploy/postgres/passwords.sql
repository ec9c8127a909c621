-- psql -v writer_password=… -v query_password=… -v aggregate_password=… -f passwords.sql
ALTER ROLE lakepulse_writer    PASSWORD :'writer_password';
ALTER ROLE lakepulse_query     PASSWORD :'query_password';
ALTER ROLE lakepulse_aggregate PASSWORD :'aggregate_password';
