-- Revokes a lock ($2 false: its lease runs out) or forces it open ($2 true: its lease ends now). $1: the name.
WITH held AS (
    SELECT t.name, t.expires_at, t.waiters_until
    FROM {table} t
    WHERE t.name = $1::bytea AND t.expires_at > clock_timestamp()
    FOR NO KEY UPDATE OF t
),
locked AS MATERIALIZED (
    SELECT *, clock_timestamp() AS now FROM held
)
UPDATE {table} t
SET token          = greatest(t.token + 1, (extract(epoch FROM l.now) * 1000000)::bigint),
    released_grant = coalesce(t.grant_id, t.released_grant),
    grant_id       = NULL,
    expires_at     = CASE WHEN $2::boolean THEN l.now ELSE t.expires_at END
FROM locked l
WHERE t.name = l.name AND l.expires_at > l.now
RETURNING 'fenced' AS outcome,
          t.token,
          CASE WHEN $2 AND l.waiters_until > l.now THEN pg_notify({channel}, encode(t.name, 'hex')) END
