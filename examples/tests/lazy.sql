-- SPDX-License-Identifier: PostgreSQL
--
-- pgfold test -- psql -v ON_ERROR_STOP=1 -f lazy.sql
SELECT id FROM author ORDER BY id;
SELECT format('SELECT title FROM book WHERE author_id = %s', id) FROM author ORDER BY id \gexec
