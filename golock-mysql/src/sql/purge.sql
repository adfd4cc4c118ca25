-- Deletes those of the names after {after}, up to {last}, that have been free for {idle} µs.
-- A name whose token is ahead of the clock stays: without its row the next token would be smaller.
--
-- A row that another transaction has locked is in use, and stays: to wait for it would keep all who lock one of the rows found
-- so far waiting as well. Because of the LIMIT no optimizer makes one query of the two.
DELETE held
FROM (
    SELECT name FROM {table}
    WHERE name > {after} AND name <= {last}
      AND expires_at <= UTC_TIMESTAMP(6) - INTERVAL {idle} MICROSECOND AND token < {now_us}
    LIMIT {page}
    FOR UPDATE SKIP LOCKED
) AS idle
STRAIGHT_JOIN {table} AS held FORCE INDEX (PRIMARY) ON held.name = idle.name;
