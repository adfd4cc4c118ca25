-- For acquires: a grant is on the disk before it is answered, and with it all that was written before.
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON; -- macOS: through the drive's own cache
PRAGMA checkpoint_fullfsync = ON;
PRAGMA trusted_schema = OFF;
