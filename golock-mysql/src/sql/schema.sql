-- One row a name, kept after an unlock: the name's fencing tokens go on from it.
-- Only `name` is indexed. Names are bytes, so no collation takes two of them for one. Times are UTC.
CREATE TABLE IF NOT EXISTS {table} (
    name           VARBINARY(255) NOT NULL COMMENT 'The name of the lock: UTF-8, compared byte by byte.',
    grant_id       BINARY(16)              COMMENT 'The grant that may renew and release. NULL: released or revoked.',
    released_grant BINARY(16)              COMMENT 'The grant released last: an acquire of it that arrives late is refused.',
    lock_by        VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL
                                           COMMENT 'Who holds the lock, or held it last, for people.',
    token          BIGINT         NOT NULL COMMENT 'The newest fencing token: max(last + 1, microseconds since 1970). It never goes down.',
    locked_at      DATETIME(6)    NOT NULL COMMENT 'When the lock was granted (UTC).',
    expires_at     DATETIME(6)    NOT NULL COMMENT 'Taken until then (UTC), unless it is renewed. In the past: free.',
    PRIMARY KEY (name)
) ENGINE = InnoDB
  COMMENT = 'Locks of golock. Held now: SELECT CONVERT(name USING utf8mb4), lock_by FROM … WHERE expires_at > UTC_TIMESTAMP(6)';

-- The service's own user needs no more than this:
-- GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO 'the_service'@'%';
