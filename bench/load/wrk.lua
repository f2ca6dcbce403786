-- One request a body, taken in turn from a file; what wrk measured goes out as one line of JSON.
-- BENCH_BODIES: a file, each body after a line that says how many bytes it has.
-- BENCH_PORTS: targets; wrk's threads share them evenly.
-- BENCH_KEYED: where it is set, each request has an Idempotency-Key of its own, as random as a UUID.

local threads = 0
local PLACEHOLDER = string.rep("K", 36)

function setup(thread)
  local ports = {}
  for port in os.getenv("BENCH_PORTS"):gmatch("%d+") do
    ports[#ports + 1] = port
  end
  thread.addr = wrk.lookup("127.0.0.1", ports[threads % #ports + 1])[1]
  thread:set("place", threads)
  threads = threads + 1
end

function init()
  keyed = os.getenv("BENCH_KEYED") ~= nil
  made, run = 0, io.open("/dev/urandom"):read(14):gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  wrk.headers["Idempotency-Key"] = keyed and PLACEHOLDER or nil
  requests = {}
  local bodies = io.open(os.getenv("BENCH_BODIES"), "rb")
  for length in bodies:lines() do
    requests[#requests + 1] = wrk.format("POST", nil, nil, bodies:read(tonumber(length)))
  end
  bodies:close()
  last = place * 997 % #requests
end

function request()
  last = last % #requests + 1
  return keyed and (requests[last]:gsub(PLACEHOLDER, key(), 1)) or requests[last]
end

function key()
  made = made + 1
  return ("%08x%s"):format(made * 2654435761 % 4294967296, run)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nMEASURED {"seconds": %.6f, "answers": %d, "not_2xx": %d, "socket_errors": %d, ' ..
    '"p50_ms": %.3f, "p99_ms": %.3f}\n',
    summary.duration / 1e6, summary.requests, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
