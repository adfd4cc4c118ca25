-- What every script begins with. One hash holds all that is known of one name; no script touches another key.
--
-- KEYS[1]  the hash
-- ARGV[1]  the time of this server (µs since 1970) after which nobody waits for the answer any more
-- ARGV[2]  how long the hash outlives whatever it says (ms)
-- ARGV[3]  the prefix of all keys
-- ARGV[4…] the script's own
--
-- Every answer begins with the time of this server and a word. Times are in µs, and numbers are never written by
-- tostring, which rounds them to 14 digits.

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
-- Sent long ago and held up on the way: whoever asked has given up, and may have undone it already.
if now > tonumber(ARGV[1]) then return {now, 'late'} end

local FIELDS = {'grant_id', 'released_grant', 'lock_by', 'token', 'locked_at', 'expires_at', 'waiters_until'}
local row = {}
for at, value in ipairs(redis.call('HMGET', KEYS[1], unpack(FIELDS))) do row[FIELDS[at]] = value end
-- Fields that are not there are false.
local is_known = row.token
local token = tonumber(row.token or 0)
local locked_at = tonumber(row.locked_at or 0)
local expires_at = tonumber(row.expires_at or 0)
local waiters_until = tonumber(row.waiters_until or 0)
local lease_end = expires_at

-- Above this two numbers that follow each other are the same double.
local MAX_TOKEN = 9007199254740990

local function digits(number) return string.format('%.0f', number) end

-- max(last + 1, server time); nil after the largest.
local function next_token()
  local larger = math.max(token + 1, now)
  if larger <= MAX_TOKEN then return larger end
end

-- Writes fields, and says how long the hash is kept: as long as its lease, or as long as its token is ahead of the clock
-- (without it the next one would be smaller), and then for what ARGV[2] says.
local function write(...)
  redis.call('HSET', KEYS[1], ...)
  local until_free = math.ceil(math.max(expires_at - now, token - now, 0) / 1000)
  redis.call('PEXPIRE', KEYS[1], digits(until_free + ARGV[2]))
end

-- Tells those that wait, if somebody does, that the lease ends earlier than they were told: now, or when a lock_at_least
-- is over. It is a hint: if it can't be sent, that is no reason for what ends the lease to fail.
local function tell_waiters()
  if expires_at < lease_end and waiters_until > now then
    redis.pcall('PUBLISH', ARGV[3] .. 'freed', string.sub(KEYS[1], #ARGV[3] + 1))
  end
end
