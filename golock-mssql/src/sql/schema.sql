-- One row a name, kept after an unlock: the name's fencing tokens go on from it.
-- Held now: SELECT CAST(name AS VARCHAR(256)), lock_by, token, locked_at, expires_at FROM {table} WHERE expires_at > SYSUTCDATETIME();
IF SCHEMA_ID({schema_in_text}) IS NULL
    EXEC ({create_schema_in_text});

CREATE TABLE {table} (
    -- The name of the lock: its bytes in UTF-8, and one byte 0x01. SQL Server takes 0x61 and 0x6100 for the same.
    name           VARBINARY(256) NOT NULL PRIMARY KEY CLUSTERED,
    -- The grant that may renew and release. NULL: released or revoked.
    grant_id       BINARY(16)     NULL,
    -- The grant released last: an acquire of it that arrives late is refused.
    released_grant BINARY(16)     NULL,
    -- Who holds the lock, or held it last, for people.
    lock_by        NVARCHAR(255)  NOT NULL,
    -- The newest fencing token: max(last + 1, microseconds since 1970). It never goes down.
    token          BIGINT         NOT NULL,
    -- When the lock was granted, in UTC.
    locked_at      DATETIME2(7)   NOT NULL,
    -- Taken until then, unless it is renewed. In the past: free.
    expires_at     DATETIME2(7)   NOT NULL
);

-- The service's own user needs no more than this:
-- GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO [the_service];
