-- Extends a lease that is alive, or says how it was lost. Its own: the grant, its token, the lease (µs).
local grant, its_token, lease = ...

if not is_known then return {now, 'gone'} end
if released_grant == grant then return {now, 'revoked'} end
if grant_id ~= grant or written_token ~= its_token then return {now, 'taken'} end
if expires_at <= now then return {now, 'expired'} end

expires_at = max(expires_at, now + tonumber(lease))
write('expires_at', digits(expires_at))
return {now, 'renewed', expires_at - now}
