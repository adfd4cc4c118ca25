-- Who holds the name. ARGV: no more.
if not is_known or expires_at <= now then return {now, 'free'} end
local state = 'held'
if (row.grant_id or '') == '' then state = 'kept' end
return {now, state, row.lock_by or '', now - locked_at, expires_at - now, token}
