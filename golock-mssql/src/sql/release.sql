/* golock release */
-- Gives a grant back, and remembers it as the one released last, whatever the row was.
-- @P1: the name, @P2: the grant, @P3 and @P4: lock_at_least, in whole seconds and the microseconds besides.
DECLARE @now DATETIME2(7), @outcome NVARCHAR(10) = N'gone';
BEGIN TRANSACTION;

-- As in acquire: first the lock, then the clock.
SELECT @outcome = CASE WHEN released_grant = @P2 THEN N'already'
                       WHEN grant_id = @P2 THEN N'released'
                       ELSE N'taken' END
FROM {table} WITH (ROWLOCK, UPDLOCK, HOLDLOCK)
WHERE name = @P1;
SET @now = SYSUTCDATETIME();

UPDATE {table} WITH (ROWLOCK)
SET released_grant = @P2,
    grant_id       = CASE WHEN grant_id = @P2 THEN NULL ELSE grant_id END,
    -- The earlier of the end of its lease and the end of its lock_at_least, unless both have passed.
    expires_at     = CASE WHEN grant_id = @P2 AND expires_at > @now
                           AND expires_at > DATEADD(MICROSECOND, @P4, DATEADD(SECOND, @P3, locked_at))
                          THEN CASE WHEN DATEADD(MICROSECOND, @P4, DATEADD(SECOND, @P3, locked_at)) > @now
                                    THEN DATEADD(MICROSECOND, @P4, DATEADD(SECOND, @P3, locked_at))
                                    ELSE @now END
                          ELSE expires_at END
WHERE name = @P1 AND (released_grant IS NULL OR released_grant <> @P2);

IF @@ROWCOUNT = 0
BEGIN
    -- No row: one is made, free, so that the acquire that this undoes is refused should it arrive yet.
    IF @outcome = N'gone'
        INSERT INTO {table} (name, released_grant, lock_by, token, locked_at, expires_at)
        VALUES (@P1, @P2, N'-', DATEDIFF_BIG(MICROSECOND, '19700101', @now), @now, @now);
    ELSE
        SET @outcome = N'already';
END;

SELECT @outcome AS outcome;

COMMIT TRANSACTION;
