/* golock exists */
-- Whether the table @P1 (its quoted name) is there, for all that this login may see.
SELECT CAST(CASE WHEN OBJECT_ID(@P1, N'U') IS NULL THEN 0 ELSE 1 END AS BIT) AS is_there;
