-- What a new session is told before its first use, in one round trip. Whatever the role, the database or the server has
-- as its default, a statement here is its own transaction, may write, sees what others have committed, is durable, and
-- ends.
SET statement_timeout = {statement_timeout};
SELECT pg_is_in_recovery() AS standby,
       set_config('lock_timeout', '{lock_timeout}', false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('default_transaction_read_only', 'off', false),
       -- Else a backslash in the name of the table would take the quote behind it for its own.
       set_config('standard_conforming_strings', 'on', false),
       CASE WHEN current_setting('synchronous_commit') = 'off'
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
