-- One row a name, kept after an unlock: the name's fencing tokens go on from it.
-- Only `name` is indexed, and some of each page stays free: so an update touches no index (HOT).
CREATE TABLE IF NOT EXISTS {table} (
    name           bytea       NOT NULL PRIMARY KEY,
    grant_id       bytea,
    released_grant bytea,
    lock_by        text        NOT NULL,
    token          bigint      NOT NULL,
    locked_at      timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    waiters_until  timestamptz
) WITH (fillfactor = 70);

COMMENT ON TABLE {table} IS
    'Locks of golock. Held now: SELECT convert_from(name, ''UTF8''), lock_by, token, locked_at, expires_at FROM {table_in_text} WHERE expires_at > clock_timestamp()';
COMMENT ON COLUMN {table}.name IS 'The name of the lock: UTF-8, compared byte by byte.';
COMMENT ON COLUMN {table}.grant_id IS 'The grant that may renew and release. NULL: released or revoked.';
COMMENT ON COLUMN {table}.released_grant IS 'The grant released last: an acquire of it that arrives late is refused.';
COMMENT ON COLUMN {table}.lock_by IS 'Who holds the lock, or held it last, for people.';
COMMENT ON COLUMN {table}.token IS 'The newest fencing token: max(last + 1, microseconds since 1970). It never goes down.';
COMMENT ON COLUMN {table}.locked_at IS 'When the lock was granted.';
COMMENT ON COLUMN {table}.expires_at IS 'Taken until then, unless it is renewed. In the past: free.';
COMMENT ON COLUMN {table}.waiters_until IS 'Until then a release also notifies those who wait.';

-- The service's own role needs no more than this:
{usage}-- GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO the_service;
