-- Sends pre-signed requests from a file, one a line: timestamp, signature, body, with tabs between.
local requests, place = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    local stamp, signature, body = line:match("([^\t]*)\t([^\t]*)\t(.*)")
    local headers = {
      ["Content-Type"] = "application/json",
      ["X-Webhook-Event"] = "assistant-request",
      ["X-Webhook-Timestamp"] = stamp,
      ["X-Webhook-Signature"] = signature,
    }
    requests[#requests + 1] = wrk.format("POST", nil, headers, body)
  end
end

function request()
  place = place % #requests + 1
  return requests[place]
end

function done(summary, latency)
  io.write(string.format(
    "RESULT %d %d %d %d %.0f %.0f %.0f\n",
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
