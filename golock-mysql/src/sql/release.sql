-- Gives a grant back, and remembers it as the one released last, whatever the row was. No row: one is made, free, so that the
-- acquire that this undoes is refused should it arrive yet.
--
-- What came of it is the "last insert id" of the answer: 1 released ({released}: or 5, released but not for the next), 2 released
-- before, 3 held by another, 4 no row.
INSERT INTO {table} (name, released_grant, lock_by, token, locked_at, expires_at)
VALUES ({name}, {grant}, '-', {now_us} + 0 * LAST_INSERT_ID(4), UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))
-- From left to right, each assignment sees what those before it have assigned.
ON DUPLICATE KEY UPDATE
    token          = token + 0 * LAST_INSERT_ID(CASE WHEN released_grant <=> {grant} THEN 2
                                                     WHEN grant_id <=> {grant} THEN {released}
                                                     ELSE 3 END),
    expires_at     = IF(grant_id <=> {grant} AND NOT (released_grant <=> {grant}),
                        LEAST(expires_at, GREATEST(SYSDATE(6), locked_at + INTERVAL {at_least} MICROSECOND)), expires_at),
    released_grant = {grant},
    grant_id       = NULLIF(grant_id, {grant});
