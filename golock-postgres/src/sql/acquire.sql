-- Grants each name that is free, or says who holds it.
--
-- want: name bytea, grant_id bytea, lock_by bytea (UTF-8), lease bigint (µs), nr bigint; one row a request.
--
-- Update first, insert second: an attempt that is refused locks nothing and writes nothing.
-- A row that may be won is locked first, and the clock is read once after that (`now`): whatever is decided about the
-- row is decided at one moment, at which nobody else can change it, however long the lock was waited for.
WITH want AS {want},

-- If another transaction has locked the row, this waits (a batch: leaves it out), and then looks at what that one left.
may_win AS (
    SELECT w.*, t.expires_at, coalesce(t.grant_id = w.grant_id, false) AS mine
    FROM want w JOIN {table} t ON t.name = w.name
    WHERE t.released_grant IS DISTINCT FROM w.grant_id
      AND (t.grant_id = w.grant_id OR t.expires_at <= clock_timestamp())
    ORDER BY t.name
    FOR NO KEY UPDATE OF t {skip_locked}
),
locked AS MATERIALIZED (
    SELECT *, clock_timestamp() AS now FROM may_win
),
-- The same grant, still alive: the same token, a longer lease. Else a new grant, if nobody else's lease is alive
-- (it may be again if the clock was set back just now).
updated AS (
    UPDATE {table} t
    SET grant_id   = l.grant_id,
        lock_by    = convert_from(l.lock_by, getdatabaseencoding()),
        token      = CASE WHEN l.mine AND l.expires_at > l.now THEN t.token
                          ELSE greatest(t.token + 1, (extract(epoch FROM l.now) * 1000000)::bigint) END,
        locked_at  = CASE WHEN l.mine AND l.expires_at > l.now THEN t.locked_at ELSE l.now END,
        expires_at = CASE WHEN l.mine AND l.expires_at > l.now
                          THEN greatest(t.expires_at, l.now + l.lease * interval '1 microsecond')
                          ELSE l.now + l.lease * interval '1 microsecond' END
    FROM locked l
    WHERE t.name = l.name AND (l.mine OR l.expires_at <= l.now)
    RETURNING l.nr, t.token, t.expires_at
),

-- A name without a row. If another transaction inserts it at the same time, this waits for that one, and then does
-- nothing. Should that one roll back, what is inserted has the clock of before the wait: a lease a little shorter.
fresh AS MATERIALIZED (
    SELECT w.*, clock_timestamp() AS now
    FROM want w
    WHERE NOT EXISTS (SELECT FROM {table} t WHERE t.name = w.name)
    ORDER BY w.name
),
inserted AS (
    INSERT INTO {table} (name, grant_id, lock_by, token, locked_at, expires_at)
    SELECT f.name, f.grant_id, convert_from(f.lock_by, getdatabaseencoding()),
           (extract(epoch FROM f.now) * 1000000)::bigint, f.now, f.now + f.lease * interval '1 microsecond'
    FROM fresh f
    ON CONFLICT (name) DO NOTHING
    RETURNING name, token, expires_at
),

granted AS (
    SELECT nr, token, expires_at FROM updated
    UNION ALL
    SELECT w.nr, i.token, i.expires_at FROM inserted i JOIN want w ON w.name = i.name
)
-- Whoever holds what was not granted is read as it was when the statement began. After a wait that is the holder
-- before the one waited for, with nothing left: then, and if there is no row, the race is lost and nobody is named.
SELECT w.nr,
       CASE WHEN g.nr IS NOT NULL THEN 'granted' WHEN t.name IS NOT NULL THEN 'held' ELSE 'raced' END AS outcome,
       coalesce(g.token, t.token) AS token,
       (extract(epoch FROM coalesce(g.expires_at, t.expires_at) - clock_timestamp()) * 1000000)::bigint AS remaining,
       (extract(epoch FROM clock_timestamp() - t.locked_at) * 1000000)::bigint AS held_for,
       convert_to(t.lock_by, getdatabaseencoding()) AS lock_by
FROM want w
LEFT JOIN granted g ON g.nr = w.nr
LEFT JOIN {table} t ON g.nr IS NULL
                   AND t.name = w.name
                   AND t.grant_id IS DISTINCT FROM w.grant_id
                   AND t.released_grant IS DISTINCT FROM w.grant_id
