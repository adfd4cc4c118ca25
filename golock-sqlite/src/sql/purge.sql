-- Deletes one page of the names that have been free for :idle µs, after the name :after, at most :page of them.
-- A name whose token is ahead of the clock stays: without its row the next token would be smaller.
WITH now (us) AS MATERIALIZED (SELECT golock_now())
DELETE FROM {table}
WHERE name IN (
    SELECT name
    FROM {table}
    WHERE name > :after
      AND expires_at <= (SELECT us FROM now) - :idle
      AND token < (SELECT us FROM now)
    ORDER BY name
    LIMIT :page
)
RETURNING name
