-- Deletes one page of the names that have been free for $1 µs, after the name $2, at most $3 of them.
-- A name whose token is ahead of the clock stays: without its row the next token would be smaller. So does a name whose
-- row is locked: it is being acquired.
WITH idle AS (
    SELECT t.name
    FROM {table} t
    WHERE t.name > $2::bytea
      AND t.expires_at <= clock_timestamp() - $1::bigint * interval '1 microsecond'
      AND t.token < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    ORDER BY t.name
    LIMIT $3::bigint
    FOR UPDATE OF t SKIP LOCKED
),
deleted AS (
    DELETE FROM {table} t USING idle i WHERE t.name = i.name RETURNING t.name
)
SELECT count(*) OVER () AS deleted, name AS last FROM deleted ORDER BY name DESC LIMIT 1
