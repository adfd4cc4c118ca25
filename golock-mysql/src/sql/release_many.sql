-- Gives many grants back: as release.sql does, for many at once. One transaction, one commit.
--
-- {want} is a table of the requests: nr, name, grant_id (both in hex), at_least (µs). No name is there twice.
SET @golock_want = '{requests}';
-- What comes of it, a digit a request: 0 nothing, for another transaction has locked the row, 1 released, 2 released before,
-- 3 held by another, 4 no row. It is told by the row as it was before, and so before anything is written.
--
-- The look (`seen`) locks nothing, and tells a row that is not there from one that is locked. The LIMIT makes the server do it in
-- this order: a derived table with a LIMIT is not merged. FORCE INDEX keeps it from reading, and locking, the whole of a small
-- table.
SELECT GROUP_CONCAT(CASE WHEN look.name IS NULL THEN 4
                         WHEN own.name IS NULL THEN 0
                         WHEN own.released_grant <=> UNHEX(look.grant_id) THEN 2
                         WHEN own.grant_id <=> UNHEX(look.grant_id) THEN 1
                         ELSE 3 END
                    ORDER BY look.nr SEPARATOR '')
INTO @golock_outcomes
FROM (
    SELECT want.nr, want.grant_id, seen.name
    FROM {want}
    LEFT JOIN {table} AS seen FORCE INDEX (PRIMARY) ON seen.name = UNHEX(want.name)
    LIMIT 1000000
) AS look
LEFT JOIN {table} AS own FORCE INDEX (PRIMARY) ON own.name = look.name
FOR UPDATE /*!80000 OF own */ SKIP LOCKED;
-- Only here may it wait: for another transaction that makes the same row. If that one commits, the outcome is another, and all
-- of this is sent again (1062).
INSERT INTO {table} (name, released_grant, lock_by, token, locked_at, expires_at)
SELECT UNHEX(want.name), UNHEX(want.grant_id), '-', {now_us}, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)
FROM {want}
WHERE @golock_outcomes LIKE '%4%' AND SUBSTRING(@golock_outcomes, want.nr, 1) = '4'
ORDER BY want.name;
-- No assignment reads what another one writes: their order is not promised where tables are joined.
UPDATE (
    SELECT want.*, SUBSTRING(@golock_outcomes, want.nr, 1) = '1' AS is_holder
    FROM {want}
    WHERE SUBSTRING(@golock_outcomes, want.nr, 1) IN ('1', '3')
    LIMIT 1000000
) AS given
STRAIGHT_JOIN {table} AS held FORCE INDEX (PRIMARY) ON held.name = UNHEX(given.name)
SET held.released_grant = UNHEX(given.grant_id),
    held.grant_id       = IF(given.is_holder, NULL, held.grant_id),
    held.expires_at     = IF(given.is_holder,
                             LEAST(held.expires_at, GREATEST(SYSDATE(6), held.locked_at + INTERVAL given.at_least MICROSECOND)),
                             held.expires_at);
SELECT @golock_outcomes;
