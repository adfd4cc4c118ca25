-- Gives a grant back (by `release`, which is release.lua) and, if that frees the name and nobody elsewhere waits for it, grants
-- it to the next. Its own: the grant, how long the lock stays taken since it was granted (µs), the next grant, its label, its
-- lease (µs).
--
-- The answer is 'granted' if it does both, else the release's.
local grant, at_least, next_grant, label, lease = ...
lease = tonumber(lease)
-- An undo of the next grant may have been faster.
local larger = waiters_until <= now and released_grant ~= next_grant and next_token()

local released = release(grant, at_least)[2]
if released ~= 'released' or not larger or expires_at > now then return {now, released} end

token, expires_at = larger, now + lease
write('grant_id', next_grant, 'lock_by', label, 'token', digits(token), 'locked_at', digits(now),
  'expires_at', digits(expires_at))
return {now, 'granted', token, lease}
