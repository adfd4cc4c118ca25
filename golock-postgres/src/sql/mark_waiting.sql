-- Notes that somebody waits. want: name bytea, standing bigint (µs), nr bigint; one row a request.
-- A note that stands for long enough already is not written again.
WITH want AS {want},

marked AS (
    SELECT t.name, w.standing
    FROM want w JOIN {table} t ON t.name = w.name
    WHERE t.waiters_until IS NULL
       OR t.waiters_until < clock_timestamp() + w.standing * interval '1 microsecond'
    ORDER BY t.name
    FOR NO KEY UPDATE OF t
)
UPDATE {table} t
SET waiters_until = greatest(t.waiters_until, clock_timestamp() + m.standing * interval '1 microsecond')
FROM marked m
WHERE t.name = m.name
