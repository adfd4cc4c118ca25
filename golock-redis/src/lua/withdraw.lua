-- Takes a grant back that too few replicas have confirmed, as if it had never been made: unlike after a release, it may
-- ask again. Its own: the grant.
local grant = ...

if grant_id == grant then
  expires_at = min(expires_at, now)
  write('grant_id', '', 'expires_at', digits(expires_at))
  tell_waiters()
end
return {now, 'withdrawn'}
