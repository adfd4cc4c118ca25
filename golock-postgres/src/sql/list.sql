-- One page of the locks that are held, ordered by the bytes of their names.
-- $1: names from here on, $2: and before this, $3: and after this, $4: at most so many.
SELECT h.name,
       convert_to(h.lock_by, getdatabaseencoding()) AS lock_by,
       (extract(epoch FROM h.now - h.locked_at) * 1000000)::bigint AS held_for,
       (extract(epoch FROM h.expires_at - h.now) * 1000000)::bigint AS remaining,
       h.token,
       CASE WHEN h.grant_id IS NULL THEN 'kept' ELSE 'held' END AS outcome
FROM (
    SELECT t.*, clock_timestamp() AS now
    FROM {table} t
    WHERE t.name >= $1::bytea AND t.name < $2::bytea AND t.name > $3::bytea
    ORDER BY t.name
    OFFSET 0
) h
WHERE h.expires_at > h.now
ORDER BY h.name
LIMIT $4::bigint
