-- Takes the lock from its holder by the next token: it can't be renewed any more. Its own: 'revoke' (the lease runs out)
-- or 'force' (it ends now, also what is left of a lock_at_least).
local how = ...

if not is_known or expires_at <= now then return {now, 'free'} end

local larger = next_token()
if not larger then return {now, 'exhausted'} end
token = larger
if grant_id and grant_id ~= '' then released_grant = grant_id end
if how == 'force' then expires_at = now end
write('grant_id', '', 'released_grant', released_grant or '', 'token', digits(token), 'expires_at', digits(expires_at))
tell_waiters()
return {now, 'fenced', token}
