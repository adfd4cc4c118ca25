-- Gives one grant back, and remembers it as the one released last, whatever the row was. No row: one is made, free, so that
-- the acquire that this undoes is refused should it arrive yet.
--
-- :name blob, :grant_id blob, :at_least µs.
WITH now (us) AS MATERIALIZED (SELECT golock_now())
INSERT INTO {table} AS own (name, released_grant, lock_by, token, locked_at, expires_at)
SELECT :name, :grant_id, '-', us, us, us FROM now WHERE true
ON CONFLICT (name) DO UPDATE SET
    -- `excluded` is what was to be inserted: excluded.locked_at is now.
    released_grant = excluded.released_grant,
    grant_id       = nullif(own.grant_id, excluded.released_grant),
    expires_at     = CASE WHEN own.grant_id = excluded.released_grant
                          THEN min(own.expires_at, max(excluded.locked_at, own.locked_at + :at_least))
                          ELSE own.expires_at END
WHERE own.released_grant IS NOT excluded.released_grant
