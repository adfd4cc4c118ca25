-- Notes that somebody waits, unless a note that stands for longer is there already. Its own: how long it stands (µs).
local standing = ...

local stands_until = now + tonumber(standing)
if is_known and waiters_until < stands_until then call('HSET', key, 'waiters_until', digits(stands_until)) end
return {now, 'marked'}
