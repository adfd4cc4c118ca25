/* golock purge */
-- Deletes the names that have been free for @P1 seconds and @P2 microseconds, and says how many they were.
-- A name whose token is ahead of the clock stays: without its row the next token would be smaller.
-- In portions, each its own transaction, of fewer rows than SQL Server locks before it locks the whole table.
--
-- A row that another transaction has locked is in use, and stays (READPAST): to wait for it would keep all who lock one of
-- the rows found so far waiting as well. READPAST wants locks where READ_COMMITTED_SNAPSHOT is on (Azure's default), too.
DECLARE @before DATETIME2(7) = DATEADD(MICROSECOND, -@P2, DATEADD(SECOND, -@P1, SYSUTCDATETIME()));
DECLARE @portion BIGINT = 1, @purged BIGINT = 0;

WHILE @portion > 0
BEGIN
    DELETE TOP (1000) FROM {table} WITH (ROWLOCK, READCOMMITTEDLOCK, READPAST)
    WHERE expires_at <= @before AND token < DATEDIFF_BIG(MICROSECOND, '19700101', SYSUTCDATETIME());
    SET @portion = @@ROWCOUNT;
    SET @purged = @purged + @portion;
END;

SELECT @purged AS purged;
