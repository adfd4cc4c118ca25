/* golock fence */
-- Revokes a lock (@P2 = 0: its lease runs out) or forces it open (@P2 = 1: its lease ends now). @P1: the name.
DECLARE @now DATETIME2(7), @micros BIGINT;
BEGIN TRANSACTION;

-- As in acquire: first the lock, then the clock.
SELECT @now = expires_at FROM {table} WITH (ROWLOCK, UPDLOCK) WHERE name = @P1;
SET @now = SYSUTCDATETIME();
SET @micros = DATEDIFF_BIG(MICROSECOND, '19700101', @now);

UPDATE {table} WITH (ROWLOCK)
SET token          = CASE WHEN token >= @micros THEN token + 1 ELSE @micros END,
    released_grant = COALESCE(grant_id, released_grant),
    grant_id       = NULL,
    expires_at     = CASE WHEN @P2 = 1 THEN @now ELSE expires_at END
WHERE name = @P1 AND expires_at > @now;

IF @@ROWCOUNT > 0
    SELECT N'fenced' AS outcome, token FROM {table} WHERE name = @P1;

COMMIT TRANSACTION;
