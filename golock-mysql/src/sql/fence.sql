-- Revokes a lock (its lease ends as it would have: {ends} is expires_at) or forces it open ({ends} is the time now). The new
-- token is the "last insert id" of the answer; no row changed: nobody holds the name, or it is later than {deadline} (µs since
-- 1970), and who held it when this was asked for may have been followed by another.
-- From left to right, each assignment sees what those before it have assigned.
UPDATE {table}
SET token          = LAST_INSERT_ID(GREATEST(token + 1, {now_us})),
    released_grant = COALESCE(grant_id, released_grant),
    grant_id       = NULL,
    expires_at     = {ends}
WHERE name = {name} AND expires_at > UTC_TIMESTAMP(6) AND {now_us} <= {deadline};
