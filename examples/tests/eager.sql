-- SPDX-License-Identifier: PostgreSQL
--
-- pgfold test -- psql -v ON_ERROR_STOP=1 -f eager.sql
SELECT a.name, b.title FROM author a JOIN book b ON b.author_id = a.id ORDER BY b.id;
