-- What is known of a name, held or not. :name blob.
WITH now (us) AS MATERIALIZED (SELECT golock_now())
SELECT name, grant_id, released_grant, lock_by, token, us - locked_at AS held_for, expires_at - us AS remaining
FROM now CROSS JOIN {table}
WHERE name = :name
