-- Who holds the name. Its own: none.
if not is_known or expires_at <= now then return {now, 'free'} end
local state = 'held'
if (grant_id or '') == '' then state = 'kept' end
return {now, state, token, expires_at - now, now - locked_at, lock_by or ''}
