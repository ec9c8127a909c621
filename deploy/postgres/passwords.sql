-- Changes the passwords of the services' roles; run by a superuser, or by who made
-- the roles, with psql 14 or newer and WRITER_PASSWORD, QUERY_PASSWORD and
-- AGGREGATE_PASSWORD in the environment (not in the arguments: those can be read).
\set ON_ERROR_STOP on
\getenv writer_password WRITER_PASSWORD
\getenv query_password QUERY_PASSWORD
\getenv aggregate_password AGGREGATE_PASSWORD
ALTER ROLE lakepulse_writer    PASSWORD :'writer_password';
ALTER ROLE lakepulse_query     PASSWORD :'query_password';
ALTER ROLE lakepulse_aggregate PASSWORD :'aggregate_password';
