-- Grants the name if it is free, or says who holds it. Its own: the grant, its label, its lease (µs).
local grant, label, lease = ...
lease = tonumber(lease)

-- It was given back before: this is a late copy, or its undo was faster.
if released_grant == grant then return {now, 'raced'} end

if expires_at > now and grant_id ~= grant then
  return {now, 'held', token, expires_at - now, now - locked_at, lock_by or ''}
end

if expires_at > now then
  -- Its own: the same token, a longer lease.
  expires_at = max(expires_at, now + lease)
  write('expires_at', digits(expires_at))
else
  local larger = next_token()
  if not larger then return {now, 'exhausted'} end
  token, expires_at = larger, now + lease
  write('grant_id', grant, 'lock_by', label, 'token', digits(token), 'locked_at', digits(now),
    'expires_at', digits(expires_at))
end
return {now, 'granted', token, expires_at - now}
