-- Load for wrk: every request records actions nobody recorded before.
--   wrk ... -s record.lua URL -- PREFIX SIZE
-- SIZE 1 = PUT one action, more = POST a batch. The shape is that of dataset.py: chains
-- of five, two inputs and one output. The last line written is JSON for load.py.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
  thread:set("number", #threads)
end

function init(args)
  prefix = args[1] .. "-" .. number
  size = tonumber(args[2])
  count = 0
  refused = 0
  if size > 1 then
    -- Reading each answer costs wrk time, and only a batch can fail inside a 200.
    response = function(status, headers, body)
      if not body:find('"failed":0', 1, true) then refused = refused + 1 end
    end
  end
end

local function at(seconds)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", 1767225600 + seconds)
end

local function action(n)
  local here = "gs://bench/" .. prefix .. "/"
  local base = n % 5 == 0 and here .. n .. "/base" or here .. (n - 1) .. "/model"
  local name = prefix .. "-" .. n
  local team = "team-" .. math.floor(n / 100) % 8
  return name, '{"key":"bench/' .. name .. '","type":"train","name":"' .. name
    .. '","controller":{"cluster":"prod","namespace":"' .. team .. '","name":"trainer"}'
    .. ',"state":"complete","started_at":"' .. at(n) .. '","ended_at":"' .. at(n + 300)
    .. '","inputs":[{"type":"Dataset","uri":"' .. here .. n .. '/data.csv","role":"data"},'
    .. '{"type":"Dataset","uri":"' .. base .. '","role":"base"}]'
    .. ',"outputs":[{"type":"Model","uri":"' .. here .. n .. '/model","role":"model"}]'
    .. ',"params":{"epochs":10,"learning_rate":0.01,"seed":' .. n .. '}}'
end

function request()
  local headers = { ["Content-Type"] = "application/json" }
  if size == 1 then
    local name, body = action(count)
    count = count + 1
    return wrk.format("PUT", "/api/v1/actions/bench%2F" .. name, headers, body)
  end
  local lines = {}
  for i = 1, size do
    lines[i] = select(2, action(count))
    count = count + 1
  end
  headers["Content-Type"] = "application/x-ndjson"
  return wrk.format("POST", "/api/v1/actions/batch", headers, table.concat(lines, "\n"))
end

function done(summary, latency, requests)
  local e = summary.errors
  local refused = 0
  for _, thread in ipairs(threads) do refused = refused + thread:get("refused") end
  local lost = refused + e.connect + e.read + e.write + e.timeout + e.status
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"errors":%d,"p50":%.6f,"p99":%.6f}\n',
    summary.requests, summary.duration / 1e6, lost,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
