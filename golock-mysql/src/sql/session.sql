-- What a new session is told before its first use, in one round trip. Whatever the server, the user or an init hook has set,
-- a statement here is its own transaction, may write, sees what others have committed, means what it says, and ends.
-- (`/*!80000 … */` is for MySQL only, `/*M! … */` for MariaDB only.)
SET SESSION
    autocommit               = 1,
    completion_type          = NO_CHAIN,
    time_zone                = '+00:00',
    timestamp                = DEFAULT,
    sql_mode                 = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
    sql_safe_updates         = 0,
    sql_select_limit         = DEFAULT,
    sql_big_selects          = 1,
    unique_checks            = 1,
    foreign_key_checks       = 1,
    -- Bytes: room for a digit a request of many.
    group_concat_max_len     = 1048576,
    -- Seconds: for the table (another's ALTER or LOCK TABLES), and for the row.
    lock_wait_timeout        = {lock_wait},
    innodb_lock_wait_timeout = {lock_wait}
    -- Milliseconds, and for SELECT only.
    /*!80000 , max_execution_time = {timeout_ms} */
    -- Seconds, and for every statement.
    /*M! , max_statement_time = {timeout_s} */
    -- Else an upsert that waited for a row fails with "record has changed since last read" (1020).
    /*M!110602 , innodb_snapshot_isolation = OFF */;
-- A hook may have left a transaction open.
ROLLBACK;
-- READ COMMITTED: nothing but the row itself is locked, and what only reads locks nothing.
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
SET NAMES utf8mb4;
-- Whether SYSDATE() goes on during a statement: not so with --sysdate-is-now.
SELECT @@GLOBAL.read_only, SLEEP(0.001) + (SYSDATE(6) > UTC_TIMESTAMP(6));
