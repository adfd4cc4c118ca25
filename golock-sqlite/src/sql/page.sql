-- The last name of a page of :page names after the name :after; no row if there are fewer.
SELECT name FROM {table} WHERE name > :after ORDER BY name LIMIT 1 OFFSET :page - 1
