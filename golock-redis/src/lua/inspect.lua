-- Who holds the name. Its own: none.
if not is_known or expires_at <= now then return {now, 'free'} end
local state = 'held'
if (grant_id or '') == '' then state = 'kept' end
return {now, state, lock_by or '', now - locked_at, expires_at - now, token}
