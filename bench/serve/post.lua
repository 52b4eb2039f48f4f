-- Script of wrk: POST the file named after `--`.
function init(arguments)
  local file = io.open(arguments[1])
  wrk.method = "POST"
  wrk.body = file:read("*a")
  wrk.headers["content-type"] = "application/json"
  file:close()
end
