-- Forgets a name that has been free for long enough. Its own: how long (µs).
-- One whose token is ahead of the clock is kept: without it the next token would be smaller.
local idle = ...

if not is_known or expires_at + tonumber(idle) > now or token >= now then return {now, 'spared'} end
call('DEL', key)
return {now, 'purged'}
