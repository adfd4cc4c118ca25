-- Extends each lease that is alive, and says which it did not, and why.
--
-- {want} is a table of the requests: nr, name, grant_id (both in hex), token, lease (µs).
--
-- The rows are locked first, and the clock is read after that: a lease that ran out while its row was waited for is not
-- revived. The LIMIT makes the server do it in this order: a derived table with a LIMIT is not merged. FORCE INDEX keeps it
-- from reading, and locking, the whole of a small table.
SET @golock_want = '{requests}', @golock_began = UTC_TIMESTAMP(6);
UPDATE (
    SELECT own.name, want.lease
    FROM {want}
    STRAIGHT_JOIN {table} AS own FORCE INDEX (PRIMARY) ON own.name = UNHEX(want.name)
    WHERE own.grant_id = UNHEX(want.grant_id) AND own.token = want.token AND own.expires_at > SYSDATE(6)
    LIMIT 1000000
    FOR UPDATE /*!80000 OF own */ {skip_locked}
) AS mine
STRAIGHT_JOIN {table} AS held FORCE INDEX (PRIMARY) ON held.name = mine.name
SET held.expires_at = GREATEST(held.expires_at, SYSDATE(6) + INTERVAL mine.lease MICROSECOND);
-- A lease that is alive, but does not last as long as it should now, was left out: its row was locked by another.
SELECT CASE WHEN held.name IS NULL THEN 'gone'
            WHEN held.released_grant = UNHEX(want.grant_id) THEN 'revoked'
            WHEN NOT (held.grant_id <=> UNHEX(want.grant_id)) OR held.token <> want.token THEN 'taken'
            WHEN held.expires_at <= UTC_TIMESTAMP(6) THEN 'expired'
            WHEN held.expires_at < CAST(@golock_began AS DATETIME(6)) + INTERVAL want.lease MICROSECOND THEN 'busy'
            ELSE 'renewed' END,
       TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), held.expires_at)
FROM {want}
LEFT JOIN {table} AS held FORCE INDEX (PRIMARY) ON held.name = UNHEX(want.name)
ORDER BY want.nr;
