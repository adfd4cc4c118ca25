-- Deletes those of the names after :after, up to :last (NULL: all), that have been free for :idle µs.
-- A name whose token is ahead of the clock stays: without its row the next token would be smaller.
WITH now (us) AS MATERIALIZED (SELECT golock_now())
DELETE FROM {table}
WHERE name > :after
  AND name <= ifnull(:last, x'FF')
  AND expires_at <= (SELECT us FROM now) - :idle
  AND token < (SELECT us FROM now)
