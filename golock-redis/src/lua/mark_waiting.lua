-- Notes that somebody waits, unless a note that stands for longer is there already. ARGV: …, how long it stands (µs).
local stands_until = now + tonumber(ARGV[4])
if is_known and waiters_until < stands_until then
  redis.call('HSET', KEYS[1], 'waiters_until', digits(stands_until))
end
return {now, 'marked'}
