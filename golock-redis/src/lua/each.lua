-- Does `one`, which is a script of its own, to each hash, with the arguments that are that one's. The answer is one for each.
-- With several, one that fails answers what the server said, and does not keep the others from theirs.
local own = tonumber(ARGV[1])

local function answer(its_key, ...)
  if is_late then return {now, 'late'} end
  read(its_key)
  return one(...)
end

if #KEYS == 1 then return {answer(KEYS[1], unpack(ARGV, 5, 4 + own))} end

local answers = {}
for at, its_key in ipairs(KEYS) do
  local before = 4 + (at - 1) * own
  local ran, found = pcall(answer, its_key, unpack(ARGV, before + 1, before + own))
  if not ran then
    if type(found) == 'table' then found = found.err end
    found = {0, 'failed', tostring(found)}
  end
  answers[at] = found
end
return answers
