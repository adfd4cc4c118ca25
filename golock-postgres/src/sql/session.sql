-- What a new session is told before its first use, in one round trip. Whatever the role, the database or the server has
-- as its default, a statement here is its own transaction, sees what others have committed, is durable, and ends.
SET statement_timeout = {statement_timeout};
-- Read-only by default may be this role alone, which is repaired. If the database or the server is, somebody means to keep all
-- writes out, before a switchover: another server may grant by then.
SELECT pg_is_in_recovery() AS standby,
       (SELECT source NOT IN ('user', 'database user', 'client', 'session')
        FROM pg_settings
        WHERE name = 'default_transaction_read_only' AND setting = 'on') AS fenced;
SELECT set_config('lock_timeout', '{lock_timeout}', false),
       set_config('default_transaction_isolation', 'read committed', false),
       -- Only where it has to be: else a fence that is put up later would not reach this session.
       CASE WHEN current_setting('default_transaction_read_only') = 'on'
            THEN set_config('default_transaction_read_only', 'off', false) END,
       -- Else a backslash in the name of the table would take the quote behind it for its own.
       set_config('standard_conforming_strings', 'on', false),
       -- All that is less than what the server itself has by default: with `local` a standby that is promoted may not know a grant.
       CASE WHEN current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')
            THEN set_config('synchronous_commit', 'on', false) END,
       -- PostgreSQL 17; it would cut a statement short without saying so in these terms.
       CASE WHEN current_setting('transaction_timeout', true) <> '0'
            THEN set_config('transaction_timeout', '0', false) END,
       -- The statements are few and each goes by the primary key. A plan made while the table was new and empty must
       -- not be kept when it has grown.
       set_config('plan_cache_mode', 'force_generic_plan', false),
       set_config('enable_seqscan', 'off', false),
       set_config('enable_bitmapscan', 'off', false),
       set_config('enable_mergejoin', 'off', false),
       set_config('jit', 'off', false);
