-- Locks of golock. Held now:
--   SELECT CAST(name AS TEXT), lock_by, token, datetime(expires_at / 1000000, 'unixepoch')
--   FROM {table} WHERE expires_at > unixepoch('subsec') * 1000000;
CREATE TABLE IF NOT EXISTS {table} (
    -- One row a name, kept after an unlock: the name's fencing tokens go on from it. Times are in microseconds since 1970.
    name           BLOB    NOT NULL PRIMARY KEY, -- UTF-8, compared byte by byte
    grant_id       BLOB,                         -- may renew and release; NULL: released or revoked
    released_grant BLOB,                         -- released last: an acquire of it that arrives late is refused
    lock_by        TEXT    NOT NULL,             -- who holds the lock, or held it last, for people
    token          INTEGER NOT NULL,             -- the newest fencing token: max(last + 1, now); it never goes down
    locked_at      INTEGER NOT NULL,             -- when the lock was granted
    expires_at     INTEGER NOT NULL              -- taken until then, unless it is renewed; in the past: free
) STRICT, WITHOUT ROWID;
