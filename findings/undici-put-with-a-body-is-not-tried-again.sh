#!/usr/bin/env bash
# About: undici 7.30.2: fetch with a RetryAgent.
# Expected: RetryAgent tries PUT again after a 503, as its list of methods says. If it gives up,
#   the caller sees the 503.
# Seen: A PUT with a body through fetch is not sent again: "fetch failed" is thrown, about a body
#   length. The same request through request() is tried again and succeeds.
# Meaning: The one kind of write that may safely be repeated is lost at the first full server,
#   with an error that points at the sender.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts undici@7.30.2 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import http from 'node:http'
import { Agent, fetch, RetryAgent, request } from 'undici'

async function attempts(send) {
  let count = 0
  const server = http.createServer((incoming, response) => {
    incoming.resume().on('end', () => {
      response.writeHead(++count === 1 ? 503 : 200)
      response.end('{}')
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const dispatcher = new RetryAgent(new Agent(), { maxRetries: 3, minTimeout: 10 })
  const options = { method: 'PUT', body: '{"status":"done"}', dispatcher }
  const outcome = await send(`http://127.0.0.1:${server.address().port}/`, options).catch(
    (error) => `${error.message}: ${error.cause?.message}`,
  )
  server.closeAllConnections()
  server.close()
  return [count, outcome]
}
const byFetch = await attempts(async (url, options) => (await fetch(url, options)).status)
const byRequest = await attempts(async (url, options) => (await request(url, options)).statusCode)
console.log('fetch:  ', byFetch[0], 'attempt, ', byFetch[1])
console.log('request:', byRequest[0], 'attempts,', byRequest[1])
assert.equal(byFetch[0], 1)
assert.match(byFetch[1], /^fetch failed/)
assert.deepEqual(byRequest, [2, 200])
JS
node run.js
