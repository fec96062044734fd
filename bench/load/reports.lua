-- wrk script: status reports with a key of their own each, over a rotating set of operations. The same for all parties.
-- Arguments after `--`: file with one report body a line, host and port, number of operations, prefix of the idempotency
-- keys, first operation, how far the next is from it, and, where one is to be shown, the access key.
local bodies, host, operations, prefix, access = {}, "", 1, "", ""
local threads = 0
local sent = 0
local first, stride = 0, 1

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(arguments)
  for line in io.lines(arguments[1]) do
    bodies[#bodies + 1] = "Content-Type: application/json\r\nContent-Length: " .. #line .. "\r\n\r\n" .. line
  end
  host = arguments[2]
  operations = tonumber(arguments[3])
  prefix = arguments[4] .. "-" .. number .. "-"
  first = tonumber(arguments[5]) + number * 7919
  stride = tonumber(arguments[6])
  if arguments[7] then access = "\r\nAuthorization: Bearer " .. arguments[7] end
end

-- Built by hand: wrk.format would cost the load generator more than the bare route costs its server.
function request()
  sent = sent + 1
  return "POST /v1/operations/bench-" .. ((first + sent * stride) % operations) .. "/reports HTTP/1.1\r\nHost: " .. host
    .. access .. "\r\nIdempotency-Key: " .. prefix .. sent .. "\r\n" .. bodies[sent % #bodies + 1]
end

dofile("result.lua")
