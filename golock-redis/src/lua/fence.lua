-- Takes the lock from its holder by the next token: it can't be renewed any more. ARGV: …, 'revoke' (the lease runs out)
-- or 'force' (it ends now, also what is left of a lock_at_least).
if not is_known or expires_at <= now then return {now, 'free'} end

local larger = next_token()
if not larger then return {now, 'exhausted'} end
token = larger
if row.grant_id and row.grant_id ~= '' then row.released_grant = row.grant_id end
if ARGV[4] == 'force' then expires_at = now end
write('grant_id', '', 'released_grant', row.released_grant or '', 'token', digits(token),
  'expires_at', digits(expires_at))
tell_waiters()
return {now, 'fenced', token}
