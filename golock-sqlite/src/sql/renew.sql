-- Extends one lease if it is alive; no row comes back if it is not.
--
-- :name blob, :grant_id blob, :token, :lease µs.
WITH now (us) AS MATERIALIZED (SELECT golock_now())
UPDATE {table} AS own
SET expires_at = max(own.expires_at, now.us + :lease)
FROM now
WHERE own.name = :name AND own.grant_id = :grant_id AND own.token = :token AND own.expires_at > now.us
RETURNING expires_at - golock_now() AS remaining
