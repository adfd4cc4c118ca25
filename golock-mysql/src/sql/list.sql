-- One page of the locks that are held, ordered by the bytes of their names: from {from} on, after {after}, before {to}.
SELECT {columns}
FROM {table} AS held
WHERE name >= {from} AND name > {after} AND name < {to} AND expires_at > UTC_TIMESTAMP(6)
ORDER BY name
LIMIT {limit};
