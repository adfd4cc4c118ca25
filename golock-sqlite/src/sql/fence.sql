-- Revokes a lock (its lease runs out) or forces it open (:ends_now: its lease ends now). No row comes back if nobody holds it.
--
-- :name blob, :ends_now 0 or 1.
WITH now (us) AS MATERIALIZED (SELECT golock_now())
UPDATE {table} AS own
SET token          = max(own.token + 1, now.us),
    released_grant = coalesce(own.grant_id, own.released_grant),
    grant_id       = NULL,
    expires_at     = CASE WHEN :ends_now THEN now.us ELSE own.expires_at END
FROM now
WHERE own.name = :name AND own.expires_at > now.us
RETURNING token
