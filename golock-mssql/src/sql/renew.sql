/* golock renew */
-- Extends each lease that is alive, or says how it was lost.
-- {want}: one row a request: its number, name, grant and token, and the lease in whole seconds and the microseconds besides.
DECLARE @now DATETIME2(7), @locked INT;
BEGIN TRANSACTION;

-- The rows are locked first and the clock is read after that: a lease that ran out while its row was waited for is not
-- revived. FORCESEEK: rows that are not asked for are not even looked at, whoever has locked them.
SELECT @locked = COUNT(*)
FROM (VALUES {want}) AS w (nr, name, grant_id, token, seconds, micros)
JOIN {table} AS t WITH (ROWLOCK, UPDLOCK, FORCESEEK) ON t.name = w.name;
SET @now = SYSUTCDATETIME();

UPDATE t
SET expires_at = CASE WHEN t.expires_at > DATEADD(MICROSECOND, w.micros, DATEADD(SECOND, w.seconds, @now))
                      THEN t.expires_at
                      ELSE DATEADD(MICROSECOND, w.micros, DATEADD(SECOND, w.seconds, @now)) END
FROM (VALUES {want}) AS w (nr, name, grant_id, token, seconds, micros)
JOIN {table} AS t WITH (ROWLOCK, FORCESEEK) ON t.name = w.name
WHERE t.grant_id = w.grant_id AND t.token = w.token AND t.expires_at > @now;

SELECT w.nr,
       CASE WHEN t.name IS NULL THEN N'gone'
            WHEN t.released_grant = w.grant_id THEN N'revoked'
            WHEN t.grant_id IS NULL OR t.grant_id <> w.grant_id OR t.token <> w.token THEN N'taken'
            WHEN t.expires_at <= @now THEN N'expired'
            ELSE N'renewed' END AS outcome,
       DATEDIFF_BIG(MICROSECOND, SYSUTCDATETIME(), t.expires_at) - 1 AS remaining
FROM (VALUES {want}) AS w (nr, name, grant_id, token, seconds, micros)
LEFT JOIN {table} AS t WITH (FORCESEEK) ON t.name = w.name;

COMMIT TRANSACTION;
