-- Grants a name that is free, or says who holds it: an upsert that decides, and a SELECT that tells what came of it.
--
-- Two clocks. Whatever is decided is decided at UTC_TIMESTAMP, when the statement began, for that is the same wherever it
-- stands in the statement: a lease that ended while a row lock was waited for counts as alive, and the caller asks again.
-- Whatever is written counts from SYSDATE, the moment of writing: an acquire that waited is granted its whole lease.
-- (The session's time zone is UTC, so both are.)
--
-- {condition} is TRUE or, in a hand-over, that the release before it has just freed the name for this grant.
-- {deadline}, in µs since 1970: what arrives later does nothing, for whoever sent it has given it up.
--
-- The look at the row in WHERE locks nothing (READ COMMITTED), so an attempt that is refused neither waits nor writes. It
-- may be out of date at once: what decides is the second part, under the row's lock.
INSERT INTO {table} (name, grant_id, lock_by, token, locked_at, expires_at)
SELECT {name}, {grant}, {lock_by}, {now_us}, SYSDATE(6), SYSDATE(6) + INTERVAL {lease} MICROSECOND
FROM DUAL
WHERE {condition} AND {now_us} <= {deadline} AND NOT EXISTS (
    SELECT 1 FROM {table}
    WHERE name = {name}
      AND (released_grant = {grant} OR (expires_at > UTC_TIMESTAMP(6) AND NOT (grant_id <=> {grant})))
)
-- From left to right, each assignment sees what those before it have assigned. The first four take a name that is free (and
-- was not released by this very grant); the last one is for them too, and for the grant that holds it already.
ON DUPLICATE KEY UPDATE
    token      = IF(expires_at <= UTC_TIMESTAMP(6) AND NOT (released_grant <=> {grant}), GREATEST(token + 1, {now_us}), token),
    lock_by    = IF(expires_at <= UTC_TIMESTAMP(6) AND NOT (released_grant <=> {grant}), {lock_by}, lock_by),
    locked_at  = IF(expires_at <= UTC_TIMESTAMP(6) AND NOT (released_grant <=> {grant}), SYSDATE(6), locked_at),
    grant_id   = IF(expires_at <= UTC_TIMESTAMP(6) AND NOT (released_grant <=> {grant}), {grant}, grant_id),
    expires_at = IF(grant_id <=> {grant} AND NOT (released_grant <=> {grant}),
                    GREATEST(expires_at, SYSDATE(6) + INTERVAL {lease} MICROSECOND), expires_at);
SELECT {columns}
FROM {table} AS held
WHERE name = {name};
