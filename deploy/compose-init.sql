-- SPDX-License-Identifier: PostgreSQL
--
-- Run once by docker-compose.yml's PostgreSQL, so that the server itself can tell what reached it.
CREATE EXTENSION pg_stat_statements;
