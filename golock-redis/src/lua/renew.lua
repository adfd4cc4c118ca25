-- Extends a lease that is alive, or says how it was lost. ARGV: …, the grant, its token, the lease (µs).
local grant, its_token, lease = ARGV[4], ARGV[5], tonumber(ARGV[6])

if not is_known then return {now, 'gone'} end
if row.released_grant == grant then return {now, 'revoked'} end
if row.grant_id ~= grant or row.token ~= its_token then return {now, 'taken'} end
if expires_at <= now then return {now, 'expired'} end

expires_at = math.max(expires_at, now + lease)
write('expires_at', digits(expires_at))
return {now, 'renewed', expires_at - now}
