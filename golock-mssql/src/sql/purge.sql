/* golock purge */
-- Deletes one page of the names that have been free for @P1 seconds and @P2 microseconds: at most @P3 of them, and says how many.
-- A name whose token is ahead of the clock stays: without its row the next token would be smaller.
--
-- A row that another transaction has locked is in use, and stays (READPAST): to wait for it would keep all who lock one of
-- the rows found so far waiting as well. Where READ_COMMITTED_SNAPSHOT is on (Azure's default) READPAST wants to be told that it
-- is about locks, and row locks are all that it passes over.
DELETE TOP (@P3) FROM {table} WITH (ROWLOCK, READCOMMITTEDLOCK, READPAST)
WHERE expires_at <= DATEADD(MICROSECOND, -@P2, DATEADD(SECOND, -@P1, SYSUTCDATETIME()))
  AND token < DATEDIFF_BIG(MICROSECOND, '19700101', SYSUTCDATETIME());
SELECT CAST(@@ROWCOUNT AS BIGINT) AS deleted;
