-- Takes a grant back that too few replicas have confirmed, as if it had never been made: unlike after a release, it may
-- ask again. Its own: the grant, and the end of its lease as it was granted. If that has moved, the grant has asked again meanwhile,
-- and what it has by now is not taken back.
local grant, granted_until = ...

if grant_id == grant and expires_at == tonumber(granted_until) then
  expires_at = min(expires_at, now)
  write('grant_id', '', 'expires_at', digits(expires_at))
  tell_waiters()
else
  -- A server that was demoted meanwhile refuses to write this, and so does not deny a grant that it does not know.
  keep()
end
return {now, 'withdrawn'}
