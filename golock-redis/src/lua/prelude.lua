-- What every script begins with. One hash holds all that is known of one name; nothing done to a name touches another's.
--
-- KEYS     the hashes
-- ARGV[1]  how many arguments of its own each of them has
-- ARGV[2]  the time of this server (µs since 1970) after which nobody waits for the answer any more
-- ARGV[3]  how long a hash outlives whatever it says (ms)
-- ARGV[4]  the prefix of all keys
-- ARGV[5…] those arguments, hash by hash
--
-- Every answer is the time of this server, a word and, as far as they belong to it: the token, what remains of the lease, how long
-- the name has been held, the label. Times are in µs, and numbers are never written by tostring, which rounds them to 14 digits.

local call, format, max, min = redis.call, string.format, math.max, math.min

local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
-- Sent long ago and held up on the way: whoever asked has given up, and may have undone it already.
local is_late = now > tonumber(ARGV[2])

-- The hash at hand. Fields that are not there are false, and 0 where they are numbers.
local key, is_known, grant_id, released_grant, lock_by, token, locked_at, expires_at, waiters_until
-- As the hash has them.
local written_token, lease_end

local function read(its_key)
  key = its_key
  local row = call('HMGET', key, 'grant_id', 'released_grant', 'lock_by', 'token', 'locked_at', 'expires_at', 'waiters_until')
  grant_id, released_grant, lock_by, written_token = row[1], row[2], row[3], row[4]
  is_known = written_token
  token, locked_at = tonumber(written_token or 0), tonumber(row[5] or 0)
  expires_at, waiters_until = tonumber(row[6] or 0), tonumber(row[7] or 0)
  lease_end = expires_at
end

-- Above this two numbers that follow each other are the same double.
local MAX_TOKEN = 9007199254740990

local function digits(number) return format('%.0f', number) end

-- max(last + 1, server time); nil after the largest.
local function next_token()
  local larger = max(token + 1, now)
  if larger <= MAX_TOKEN then return larger end
end

-- Says how long the hash is kept: as long as its lease, or as long as its token is ahead of the clock (without it the next one
-- would be smaller), and then for what ARGV[3] says.
local function keep()
  local until_free = math.ceil(max(expires_at - now, token - now, 0) / 1000)
  call('PEXPIRE', key, digits(until_free + ARGV[3]))
end

local function write(...)
  call('HSET', key, ...)
  keep()
end

-- Tells those that wait, if somebody does, that the lease ends earlier than they were told: now, or when a lock_at_least
-- is over. It is a hint: if it can't be sent, that is no reason for what ends the lease to fail.
local function tell_waiters()
  if expires_at < lease_end and waiters_until > now then
    redis.pcall('PUBLISH', ARGV[4] .. 'freed', string.sub(key, #ARGV[4] + 1))
  end
end
