-- The script of one name, run for many: what they do to one name does not depend on another's. KEYS: the hashes.
--
-- ARGV[1]   how many arguments of its own each run has
-- ARGV[2…4] what all have in common: the first three of the script's
-- ARGV[5…]  the script's own, run by run
--
-- The answer is one for each. A run that fails answers what the server said, and does not keep the others from theirs.
local own = tonumber(ARGV[1])
local answers = {}
for at, key in ipairs(KEYS) do
  local arguments = {ARGV[2], ARGV[3], ARGV[4]}
  for nr = 1, own do arguments[3 + nr] = ARGV[4 + (at - 1) * own + nr] end
  local ran, answer = pcall(one, {key}, arguments)
  if not ran then
    if type(answer) == 'table' then answer = answer.err end
    answer = {0, 'failed', tostring(answer)}
  end
  answers[at] = answer
end
return answers
