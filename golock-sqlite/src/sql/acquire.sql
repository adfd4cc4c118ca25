-- Grants one name if it is free. No row comes back if another holds it, or if this grant was released before.
--
-- :name blob, :grant_id blob, :lock_by text, :lease µs.
--
-- The transaction has the file's write lock already, so nobody writes between the reading of the clock and the commit. The
-- clock is read once (MATERIALIZED): in the update `excluded.locked_at` is now, for `excluded` is what was to be inserted.
WITH now (us) AS MATERIALIZED (SELECT golock_now())
INSERT INTO {table} AS own (name, grant_id, lock_by, token, locked_at, expires_at)
SELECT :name, :grant_id, :lock_by, us, us, us + :lease FROM now WHERE true
ON CONFLICT (name) DO UPDATE SET
    -- Alive, and so this grant's: the same token, a longer lease. Else a new grant.
    token      = CASE WHEN own.expires_at > excluded.locked_at THEN own.token
                      ELSE max(own.token + 1, excluded.token) END,
    locked_at  = CASE WHEN own.expires_at > excluded.locked_at THEN own.locked_at
                      ELSE excluded.locked_at END,
    expires_at = CASE WHEN own.expires_at > excluded.locked_at THEN max(own.expires_at, excluded.expires_at)
                      ELSE excluded.expires_at END,
    grant_id   = excluded.grant_id,
    lock_by    = excluded.lock_by
WHERE own.released_grant IS NOT excluded.grant_id
  AND (own.expires_at <= excluded.locked_at OR own.grant_id = excluded.grant_id)
RETURNING token, expires_at - golock_now() AS remaining
