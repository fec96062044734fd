-- wrk script: one path after the other, round and round. Arguments after `--`: file with a path a line, host and port, and,
-- where one is to be shown, the access key.
local paths, tail = {}, ""
local sent = 0

function init(arguments)
  for line in io.lines(arguments[1]) do paths[#paths + 1] = line end
  tail = " HTTP/1.1\r\nHost: " .. arguments[2]
  if arguments[3] then tail = tail .. "\r\nAuthorization: Bearer " .. arguments[3] end
  tail = tail .. "\r\n\r\n"
end

function request()
  sent = sent + 1
  return "GET " .. paths[sent % #paths + 1] .. tail
end

dofile("result.lua")
