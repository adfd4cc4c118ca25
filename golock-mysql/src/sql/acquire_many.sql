-- Grants each name that is free, or says who holds it: as acquire.sql does, for many at once. One transaction, one commit.
--
-- {want} is a table of the requests: nr, name, grant_id, lock_by (all in hex), lease (µs). No name is there twice, and they are
-- sorted: all transactions make rows in the same order, so none waits for another in a circle.
SET @golock_want = '{requests}', @golock_began = UTC_TIMESTAMP(6);
-- What may be done, a digit a request: 0 nothing, 1 extend, 2 grant, 3 make a row. After {deadline}, in µs since 1970: nothing, for
-- whoever sent it has given it up.
--
-- The look (`seen`) locks nothing, so a name that is held is neither locked nor written. What may be won is locked, and what
-- decides is what the row says then (`own`). A row that another transaction has locked is not waited for. The LIMIT makes the
-- server do it in this order: a derived table with a LIMIT is not merged. FORCE INDEX keeps it from reading, and locking, the
-- whole of a small table.
SELECT GROUP_CONCAT(CASE WHEN {now_us} > {deadline} THEN 0
                         WHEN look.is_gone THEN 3
                         WHEN own.name IS NULL OR own.released_grant <=> UNHEX(look.grant_id) THEN 0
                         WHEN own.expires_at <= UTC_TIMESTAMP(6) THEN 2
                         WHEN own.grant_id <=> UNHEX(look.grant_id) THEN 1
                         ELSE 0 END
                    ORDER BY look.nr SEPARATOR '')
INTO @golock_may
FROM (
    SELECT want.nr, want.grant_id, seen.name IS NULL AS is_gone,
           IF(NOT (seen.released_grant <=> UNHEX(want.grant_id))
                  AND (seen.expires_at <= UTC_TIMESTAMP(6) OR seen.grant_id <=> UNHEX(want.grant_id)),
              seen.name, NULL) AS name
    FROM {want}
    LEFT JOIN {table} AS seen FORCE INDEX (PRIMARY) ON seen.name = UNHEX(want.name)
    LIMIT 1000000
) AS look
LEFT JOIN {table} AS own FORCE INDEX (PRIMARY) ON own.name = look.name
FOR UPDATE /*!80000 OF own */ SKIP LOCKED;
-- Only here may it wait: for another transaction that makes the same row. If that one commits, the row stays as it is. It may have
-- to wait for row after row; after {patience} µs it makes no more, so that an abandoned call ends in time.
INSERT INTO {table} (name, grant_id, lock_by, token, locked_at, expires_at)
SELECT UNHEX(want.name), UNHEX(want.grant_id), CONVERT(UNHEX(want.lock_by) USING utf8mb4), {now_us},
       SYSDATE(6), SYSDATE(6) + INTERVAL want.lease MICROSECOND
FROM {want}
WHERE @golock_may LIKE '%3%' AND SUBSTRING(@golock_may, want.nr, 1) = '3'
  AND SYSDATE(6) <= CAST(@golock_began AS DATETIME(6)) + INTERVAL {patience} MICROSECOND
ON DUPLICATE KEY UPDATE token = {table}.token;
-- No assignment reads what another one writes: their order is not promised where tables are joined.
UPDATE {want}
STRAIGHT_JOIN {table} AS held FORCE INDEX (PRIMARY) ON held.name = UNHEX(want.name)
SET held.token      = IF(SUBSTRING(@golock_may, want.nr, 1) = '2', GREATEST(held.token + 1, {now_us}), held.token),
    held.lock_by    = IF(SUBSTRING(@golock_may, want.nr, 1) = '2', CONVERT(UNHEX(want.lock_by) USING utf8mb4), held.lock_by),
    held.locked_at  = IF(SUBSTRING(@golock_may, want.nr, 1) = '2', SYSDATE(6), held.locked_at),
    held.grant_id   = UNHEX(want.grant_id),
    held.expires_at = GREATEST(held.expires_at, SYSDATE(6) + INTERVAL want.lease MICROSECOND)
WHERE SUBSTRING(@golock_may, want.nr, 1) IN ('1', '2');
-- What there is of each name now, in any order (to sort costs more than all the rest). A row that the grant holds, but that was
-- locked by another, is left out: it was not extended.
SELECT {columns}
FROM {want}
STRAIGHT_JOIN {table} AS held FORCE INDEX (PRIMARY) ON held.name = UNHEX(want.name)
WHERE SUBSTRING(@golock_may, want.nr, 1) <> '0' OR NOT (held.grant_id <=> UNHEX(want.grant_id));
