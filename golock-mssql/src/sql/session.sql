-- What a new session is told before its first use, in one round trip. Whatever the login, the database or the server has
-- as its default, a statement here is its own transaction, sees what others have committed, gives up waiting for a row,
-- and leaves nothing half done.
SET NOCOUNT ON;
SET XACT_ABORT ON;
SET IMPLICIT_TRANSACTIONS OFF;
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET LOCK_TIMEOUT {lock_timeout};
-- A number that is too large is an error, and not a NULL.
SET ANSI_WARNINGS ON;
SET ARITHABORT ON;
-- What SQL Server asks for where an administrator has added an index of a special kind to the table.
SET ANSI_NULLS ON;
SET ANSI_PADDING ON;
SET CONCAT_NULL_YIELDS_NULL ON;
SET QUOTED_IDENTIFIER ON;
SET NUMERIC_ROUNDABORT OFF;
SET ROWCOUNT 0;
SET DEADLOCK_PRIORITY NORMAL;
SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), N'Updateability') AS NVARCHAR(20)) AS updateability;
