-- Takes a grant back that too few replicas have confirmed, as if it had never been made: unlike after a release, it may
-- ask again. ARGV: …, the grant.
if row.grant_id == ARGV[4] then
  expires_at = math.min(expires_at, now)
  write('grant_id', '', 'expires_at', digits(expires_at))
  tell_waiters()
end
return {now, 'withdrawn'}
