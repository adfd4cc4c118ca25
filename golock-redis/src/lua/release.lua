-- Gives a grant back, and remembers it as the one released last, whatever the hash says. ARGV: …, the grant, how long the
-- lock stays taken since it was granted (µs).
local grant, at_least = ARGV[4], tonumber(ARGV[5])

if not is_known then
  -- An undo that was faster than its acquire: what it leaves keeps that one out.
  local larger = next_token()
  if not larger then return {now, 'exhausted'} end
  token, expires_at = larger, now
  write('released_grant', grant, 'grant_id', '', 'lock_by', '-', 'token', digits(token), 'locked_at', digits(now),
    'expires_at', digits(now))
  return {now, 'gone'}
end
if row.released_grant == grant then return {now, 'already'} end

if row.grant_id ~= grant then
  write('released_grant', grant)
  return {now, 'taken'}
end
expires_at = math.min(expires_at, math.max(now, locked_at + at_least))
write('released_grant', grant, 'grant_id', '', 'expires_at', digits(expires_at))
tell_waiters()
return {now, 'released'}
