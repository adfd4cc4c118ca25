-- One page of the locks that are held, ordered by the bytes of their names: from :from on, after :after, before :before.
WITH now (us) AS MATERIALIZED (SELECT golock_now())
SELECT name, grant_id, released_grant, lock_by, token,
       (SELECT us FROM now) - locked_at AS held_for,
       expires_at - (SELECT us FROM now) AS remaining
FROM {table}
WHERE name >= :from AND name > :after AND name < :before AND expires_at > (SELECT us FROM now)
ORDER BY name
LIMIT :limit
