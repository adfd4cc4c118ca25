-- Looks at one page of the names, $3 of them after the name $2, and deletes those that have been free for $1 µs. A page is what is
-- looked at, so that each is short, however few of a large table are to be deleted.
-- A name whose token is ahead of the clock stays: without its row the next token would be smaller. So does a name whose
-- row is locked: it is being acquired.
WITH page AS (
    SELECT p.name AS last
    FROM (SELECT t.name FROM {table} t WHERE t.name > $2::bytea ORDER BY t.name LIMIT $3::bigint) p
    ORDER BY p.name DESC
    LIMIT 1
),
idle AS (
    SELECT t.name
    FROM {table} t
    WHERE t.name > $2::bytea
      AND t.name <= (SELECT last FROM page)
      AND t.expires_at <= clock_timestamp() - $1::bigint * interval '1 microsecond'
      AND t.token < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    FOR UPDATE OF t SKIP LOCKED
),
deleted AS (
    DELETE FROM {table} t USING idle i WHERE t.name = i.name RETURNING 1
)
SELECT (SELECT count(*) FROM deleted) AS deleted, last FROM page
