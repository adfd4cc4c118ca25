-- Forgets a name that has been free for long enough. ARGV: …, how long (µs).
-- One whose token is ahead of the clock is kept: without it the next token would be smaller.
if not is_known or expires_at + tonumber(ARGV[4]) > now or token >= now then return {now, 'spared'} end
redis.call('DEL', KEYS[1])
return {now, 'purged'}
