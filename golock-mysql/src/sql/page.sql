-- The last name of a page of names after {after}, so many more than one; no row if there are fewer.
SELECT name FROM {table} WHERE name > {after} ORDER BY name LIMIT {more}, 1;
