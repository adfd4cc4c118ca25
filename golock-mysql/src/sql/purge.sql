-- Deletes one page of the names that have been free for {idle} µs.
-- A name whose token is ahead of the clock stays: without its row the next token would be smaller.
DELETE FROM {table}
WHERE expires_at <= UTC_TIMESTAMP(6) - INTERVAL {idle} MICROSECOND AND token < {now_us}
LIMIT {page};
