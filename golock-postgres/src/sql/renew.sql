-- Extends each lease that is alive, or says how it was lost.
--
-- want: name bytea, grant_id bytea, token bigint, lease bigint (µs), nr bigint; one row a request.
--
-- The row is locked first and the clock read after that: a lease that ran out while its row was waited for is not
-- revived.
WITH want AS {want},

mine AS (
    SELECT w.*, t.expires_at
    FROM want w JOIN {table} t ON t.name = w.name
    WHERE t.grant_id = w.grant_id AND t.token = w.token
    ORDER BY t.name
    FOR NO KEY UPDATE OF t {skip_locked}
),
locked AS MATERIALIZED (
    SELECT *, clock_timestamp() AS now FROM mine
),
renewed AS (
    UPDATE {table} t
    SET expires_at = greatest(t.expires_at, l.now + l.lease * interval '1 microsecond')
    FROM locked l
    WHERE t.name = l.name AND l.expires_at > l.now
    RETURNING l.nr, t.expires_at
)
-- What was not renewed is read as it was when the statement began. If it was alive then, its row is locked by another
-- transaction (or was, until it changed): to be asked again.
SELECT w.nr,
       CASE WHEN r.nr IS NOT NULL THEN 'renewed'
            WHEN t.name IS NULL THEN 'gone'
            WHEN t.released_grant = w.grant_id THEN 'revoked'
            WHEN t.grant_id = w.grant_id AND t.token = w.token AND t.expires_at > clock_timestamp() THEN 'busy'
            WHEN t.grant_id = w.grant_id AND t.token = w.token THEN 'expired'
            ELSE 'taken' END AS outcome,
       (extract(epoch FROM r.expires_at - clock_timestamp()) * 1000000)::bigint AS remaining
FROM want w
LEFT JOIN renewed r ON r.nr = w.nr
LEFT JOIN {table} t ON r.nr IS NULL AND t.name = w.name
