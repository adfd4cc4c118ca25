-- Gives a grant back, and remembers it as the one released last, whatever the hash says. Its own: the grant, how long the
-- lock stays taken since it was granted (µs).
local grant, at_least = ...

if not is_known then
  -- An undo that was faster than its acquire: what it leaves keeps that one out.
  local larger = next_token()
  if not larger then return {now, 'exhausted'} end
  token, expires_at = larger, now
  write('released_grant', grant, 'grant_id', '', 'lock_by', '-', 'token', digits(token), 'locked_at', digits(now),
    'expires_at', digits(now))
  return {now, 'gone'}
end
if released_grant == grant then return {now, 'already'} end

if grant_id ~= grant then
  write('released_grant', grant)
  return {now, 'taken'}
end
expires_at = min(expires_at, max(now, locked_at + tonumber(at_least)))
if lease_end > now and lease_end - now <= ARGV[3] * 1000 then
  -- When this lease was written the hash was given until its end, and then what ARGV[3] says: long enough, and not much longer.
  call('HSET', key, 'released_grant', grant, 'grant_id', '', 'expires_at', digits(expires_at))
else
  write('released_grant', grant, 'grant_id', '', 'expires_at', digits(expires_at))
end
tell_waiters()
return {now, 'released'}
