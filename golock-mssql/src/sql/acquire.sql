/* golock acquire */
-- Grants a name that is free, or says who holds it.
-- @P1: the name, @P2: the grant, @P3: its label, @P4 and @P5: the lease, in whole seconds and the microseconds besides.
DECLARE @now DATETIME2(7), @until DATETIME2(7), @micros BIGINT;
BEGIN TRANSACTION;

-- The row is locked first (where there is none, the gap that it belongs into), and the clock is read once after that:
-- whatever is decided is decided at one moment, at which nobody else can change the row, however long the lock was
-- waited for. Inside of a statement the clock stands at its beginning, before such a wait.
-- No grant depends on the lock: the conditions below are those of single statements.
SELECT @now = expires_at FROM {table} WITH (ROWLOCK, UPDLOCK, HOLDLOCK) WHERE name = @P1;
SET @now = SYSUTCDATETIME();
SET @until = DATEADD(MICROSECOND, @P5, DATEADD(SECOND, @P4, @now));
SET @micros = DATEDIFF_BIG(MICROSECOND, '19700101', @now);

-- The same grant, still alive: the same token, a longer lease. Else a new grant, if nobody else's lease is alive.
UPDATE {table} WITH (ROWLOCK)
SET token      = CASE WHEN grant_id = @P2 AND expires_at > @now THEN token
                      WHEN token >= @micros THEN token + 1
                      ELSE @micros END,
    locked_at  = CASE WHEN grant_id = @P2 AND expires_at > @now THEN locked_at ELSE @now END,
    expires_at = CASE WHEN expires_at > @until THEN expires_at ELSE @until END,
    grant_id   = @P2,
    lock_by    = @P3
WHERE name = @P1
  AND (released_grant IS NULL OR released_grant <> @P2)
  AND (grant_id = @P2 OR expires_at <= @now);

IF @@ROWCOUNT = 0
    INSERT INTO {table} (name, grant_id, lock_by, token, locked_at, expires_at)
    SELECT @P1, @P2, @P3, @micros, @now, @until
    WHERE NOT EXISTS (SELECT 1 FROM {table} WITH (UPDLOCK, HOLDLOCK) WHERE name = @P1);

-- DATEDIFF counts the ticks passed, which may be one more than microseconds have.
SELECT CASE WHEN grant_id = @P2 THEN N'granted'
            WHEN released_grant = @P2 THEN N'raced'
            ELSE N'held' END AS outcome,
       token,
       lock_by,
       DATEDIFF_BIG(MICROSECOND, locked_at, SYSUTCDATETIME()) AS held_for,
       DATEDIFF_BIG(MICROSECOND, SYSUTCDATETIME(), expires_at) - 1 AS remaining
FROM {table}
WHERE name = @P1;

COMMIT TRANSACTION;
