-- Asks the questions that were given, one after the other, and counts what came of them; for wrk.
-- Arguments: bodies of POST /v1/questions. The last line that it prints is JSON.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(bodies)
   requests, asked, kinds = {}, 0, {}
   local headers = { ["Content-Type"] = "application/json", ["Prefer"] = "wait=100" }
   for number, body in ipairs(bodies) do
      requests[number] = wrk.format("POST", "/v1/questions", headers, body)
   end
end

function request()
   asked = asked + 1
   return requests[(asked - 1) % #requests + 1]
end

function response(status, _, body)
   local kind = "status " .. status
   if status == 200 then
      -- A question that failed is a 200, too.
      kind = body:match('"state":"(%a+)"') or "no state"
   end
   kinds[kind] = (kinds[kind] or 0) + 1
end

function done(summary, latency, _)
   local counted = {}
   for _, thread in ipairs(threads) do
      for kind, number in pairs(thread:get("kinds")) do
         counted[kind] = (counted[kind] or 0) + number
      end
   end
   for kind, number in pairs(summary.errors) do
      if kind ~= "status" and number > 0 then
         counted["connection: " .. kind] = number
      end
   end
   local parts = {}
   for kind, number in pairs(counted) do
      table.insert(parts, string.format('"%s": %d', kind, number))
   end
   io.write(string.format(
      '{"seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "kinds": {%s}}\n',
      summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      table.concat(parts, ", ")
   ))
end
