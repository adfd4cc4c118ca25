/* golock purge */
-- Looks at one page of the names, @P4 of them after the name @P3, and deletes those that have been free for @P1 seconds and @P2
-- microseconds: says how many, and where the page ends. A page is what is looked at, so that each is short, however few of a large
-- table are to be deleted. Where it ends nobody's lock matters (NOLOCK).
-- A name whose token is ahead of the clock stays: without its row the next token would be smaller.
--
-- A row that another transaction has locked is in use, and stays (READPAST): to wait for it would keep all who lock one of
-- the rows found so far waiting as well. Where READ_COMMITTED_SNAPSHOT is on (Azure's default) READPAST wants to be told that it
-- is about locks, and row locks are all that it passes over.
DECLARE @last VARBINARY(256) = (
    SELECT TOP (1) page.name
    FROM (SELECT TOP (@P4) name FROM {table} WITH (NOLOCK) WHERE name > @P3 ORDER BY name) AS page
    ORDER BY page.name DESC
);
DELETE FROM {table} WITH (ROWLOCK, READCOMMITTEDLOCK, READPAST)
WHERE name > @P3 AND name <= @last
  AND expires_at <= DATEADD(MICROSECOND, -@P2, DATEADD(SECOND, -@P1, SYSUTCDATETIME()))
  AND token < DATEDIFF_BIG(MICROSECOND, '19700101', SYSUTCDATETIME());
SELECT CAST(@@ROWCOUNT AS BIGINT) AS deleted, @last AS last;
