/* golock list */
-- One page of the locks that are held, ordered by the bytes of their names.
-- @P1: names after this, @P2: and before this, @P3: at most so many.
DECLARE @now DATETIME2(7) = SYSUTCDATETIME();

SELECT TOP (@P3)
       name,
       lock_by,
       DATEDIFF_BIG(MICROSECOND, locked_at, @now) AS held_for,
       DATEDIFF_BIG(MICROSECOND, @now, expires_at) - 1 AS remaining,
       token,
       CASE WHEN grant_id IS NULL THEN N'kept' ELSE N'held' END AS outcome
FROM {table}
WHERE name > @P1 AND name < @P2 AND expires_at > @now
ORDER BY name;
