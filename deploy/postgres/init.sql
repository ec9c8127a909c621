-- Makes the owner of the schema, the services' roles and the database. Run once, by
-- a superuser, with psql 14 or newer:
--
--     OWNER_PASSWORD=… WRITER_PASSWORD=… QUERY_PASSWORD=… AGGREGATE_PASSWORD=… psql -f init.sql
--
-- The passwords come from the environment: everybody on the machine can read the
-- arguments of a command. Then, as lakepulse_owner: lakepulse migrate up, roles.sql.
\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv writer_password WRITER_PASSWORD
\getenv query_password QUERY_PASSWORD
\getenv aggregate_password AGGREGATE_PASSWORD

-- The owner is no superuser: a fault in what it owns must not open the server.
CREATE ROLE lakepulse_owner     LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS PASSWORD :'owner_password';
CREATE ROLE lakepulse_writer    LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS PASSWORD :'writer_password';
CREATE ROLE lakepulse_query     LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS PASSWORD :'query_password';
CREATE ROLE lakepulse_aggregate LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS PASSWORD :'aggregate_password';

CREATE DATABASE lakepulse OWNER lakepulse_owner ENCODING 'UTF8' TEMPLATE template0;
