-- For wrk: requests drawn at random from a file, and the result as one line of JSON on stdout.
-- usage: wrk ... -s random_requests.lua URL -- FILE SEED
-- FILE has a request a line: target, then after a tab the If-None-Match to send, if any.

local drawn = {}

function init(args)
  math.randomseed(tonumber(args[2]))
  for line in io.lines(args[1]) do
    local target, etag = line:match("^([^\t]*)\t?(.*)$")
    wrk.headers["If-None-Match"] = etag ~= "" and etag or nil
    drawn[#drawn + 1] = wrk.format("GET", target)
  end
end

function request()
  return drawn[math.random(#drawn)]
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"answers": %d, "microseconds": %d, "bytes": %d, "failed": %d, "p50": %d, "p95": %d, "p99": %d}\n',
    summary.requests, summary.duration, summary.bytes, e.connect + e.read + e.write + e.timeout + e.status,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
