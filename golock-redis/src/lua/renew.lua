-- Extends a lease that is alive, or says how it was lost. Its own: the grant, its token, the lease (µs).
local grant, its_token, lease = ...

-- What a server knows that is a replica by now is not what became of the lease, and it is to say nothing: it refuses to write.
local function lost(how)
  keep()
  return {now, how}
end

if not is_known then return lost('gone') end
if released_grant == grant then return lost('revoked') end
if grant_id ~= grant or written_token ~= its_token then return lost('taken') end
if expires_at <= now then return lost('expired') end

expires_at = max(expires_at, now + tonumber(lease))
write('expires_at', digits(expires_at))
return {now, 'renewed', token, expires_at - now}
