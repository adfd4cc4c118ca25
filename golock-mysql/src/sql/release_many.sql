-- Gives many grants back: as release.sql does, for many at once. One transaction, one commit.
--
-- {want} is a table of the requests: nr, name, grant_id (both in hex), at_least (µs). No name is there twice.
SET @golock_want = '{requests}';
-- What comes of it, a digit a request: 1 released, 2 released before, 3 held by another; 0 nothing, for there is no row, or another
-- transaction has locked it. It is told by the row as it was before, and so before anything is written.
--
-- FORCE INDEX keeps the server from reading, and locking, the whole of a small table.
SELECT GROUP_CONCAT(CASE WHEN own.name IS NULL THEN 0
                         WHEN own.released_grant <=> UNHEX(want.grant_id) THEN 2
                         WHEN own.grant_id <=> UNHEX(want.grant_id) THEN 1
                         ELSE 3 END
                    ORDER BY want.nr SEPARATOR '')
INTO @golock_outcomes
FROM {want}
LEFT JOIN {table} AS own FORCE INDEX (PRIMARY) ON own.name = UNHEX(want.name)
FOR UPDATE /*!80000 OF own */ SKIP LOCKED;
-- No assignment reads what another one writes: their order is not promised where tables are joined.
UPDATE {want}
STRAIGHT_JOIN {table} AS held FORCE INDEX (PRIMARY) ON held.name = UNHEX(want.name)
SET held.released_grant = UNHEX(want.grant_id),
    held.grant_id       = NULLIF(held.grant_id, UNHEX(want.grant_id)),
    held.expires_at     = IF(SUBSTRING(@golock_outcomes, want.nr, 1) = '1',
                             LEAST(held.expires_at, GREATEST(SYSDATE(6), held.locked_at + INTERVAL want.at_least MICROSECOND)),
                             held.expires_at)
WHERE SUBSTRING(@golock_outcomes, want.nr, 1) IN ('1', '3');
SELECT @golock_outcomes;
