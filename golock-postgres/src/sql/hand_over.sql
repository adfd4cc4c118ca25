-- Gives a grant back and, if that frees the name and nobody elsewhere waits for it, grants it to the next.
--
-- $1: the name, $2: the grant, $3: how long the lock stays taken since it was granted (µs), $4: the next grant, $5: its label
-- (UTF-8), $6: its lease (µs).
--
-- No row is the answer if another transaction has locked the row, or $2 does not hold it: nothing was done then, and what is
-- to be done is the release's to find out.
WITH mine AS (
    SELECT t.name, t.released_grant, t.token, t.locked_at, t.expires_at, t.waiters_until
    FROM {table} t
    WHERE t.name = $1::bytea AND t.grant_id = $2::bytea AND t.released_grant IS DISTINCT FROM $2::bytea
    FOR NO KEY UPDATE OF t SKIP LOCKED
),
locked AS MATERIALIZED (
    SELECT *, clock_timestamp() AS now FROM mine
),
-- An undo of the next grant may have been faster. A token that can't grow is the acquire's to tell.
decided AS MATERIALIZED (
    SELECT l.*,
           coalesce(l.waiters_until <= l.now, true)
               AND l.released_grant IS DISTINCT FROM $4::bytea
               AND l.locked_at + $3::bigint * interval '1 microsecond' <= l.now
               AND l.token < 9223372036854775807 AS passes
    FROM locked l
),
updated AS (
    UPDATE {table} t
    SET grant_id       = CASE WHEN d.passes THEN $4::bytea END,
        released_grant = $2::bytea,
        lock_by        = CASE WHEN d.passes THEN convert_from($5::bytea, getdatabaseencoding()) ELSE t.lock_by END,
        token          = CASE WHEN d.passes
                              THEN greatest(t.token + 1, (extract(epoch FROM d.now) * 1000000)::bigint)
                              ELSE t.token END,
        locked_at      = CASE WHEN d.passes THEN d.now ELSE t.locked_at END,
        expires_at     = CASE WHEN d.passes THEN d.now + $6::bigint * interval '1 microsecond'
                              ELSE least(t.expires_at,
                                         greatest(d.now, t.locked_at + $3::bigint * interval '1 microsecond')) END
    FROM decided d
    WHERE t.name = d.name
    RETURNING t.name, d.passes, t.token, t.expires_at,
              t.expires_at < d.expires_at AND d.waiters_until > d.now AS wakes
)
-- What is only a release does not wait for the disk.
SELECT CASE WHEN u.passes THEN 'granted' ELSE 'released' END AS outcome,
       u.token,
       (extract(epoch FROM u.expires_at - clock_timestamp()) * 1000000)::bigint AS remaining,
       CASE WHEN u.wakes AND NOT u.passes THEN pg_notify({channel}, encode(u.name, 'hex')) END,
       CASE WHEN NOT u.passes THEN set_config('synchronous_commit', 'off', true) END
FROM updated u
