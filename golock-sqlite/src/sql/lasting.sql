-- For renewals and releases: what was written survives the end of the process, and a power cut from the next grant on. What
-- a power cut takes back ends nobody's lease early, for it ends the machine's holders too: a lock stays held until its lease
-- ends.
PRAGMA synchronous = NORMAL;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA trusted_schema = OFF;
