#!/usr/bin/env bash
# About: express-idempotency 1.0.6 with express 4.21.2.
# Expected: A repeat with the same Idempotency-Key gets the first answer again, with the headers
#   that a 201 needs (Location).
# Seen: An answer that ends without a body (204) is never recorded: every repeat is refused, as if
#   the first request were still under way. A recorded 201 comes back without its Location.
# Meaning: A client that retries a DELETE or a 204 is told that what was done long ago is still
#   under way, and a client that retries a creation does not learn what was created.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts express-idempotency@1.0.6 express@4.21.2 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import express from 'express'
import idempotency from 'express-idempotency'

const app = express()
app.use(express.json(), idempotency.idempotency())
const once = (handler) => (request, response, next) =>
  idempotency.getSharedIdempotencyService().isHit(request) ? undefined : handler(request, response, next)
app.post('/orders', once((_request, response) => response.status(201).location('/orders/1').json({ id: 1 })))
app.post('/orders/1/cancel', once((_request, response) => response.status(204).end()))
app.use((error, _request, response, _next) => response.status(409).json({ error: error.message }))
const server = app.listen(0, '127.0.0.1')
await new Promise((resolve) => server.on('listening', resolve))
const post = async (path) => {
  const answer = await fetch(`http://127.0.0.1:${server.address().port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': path },
    body: '{}',
  })
  return `${answer.status} location: ${answer.headers.get('location')} ${await answer.text()}`
}
const seen = []
for (const path of ['/orders', '/orders', '/orders/1/cancel', '/orders/1/cancel']) {
  seen.push(await post(path))
  console.log(path.padEnd(17), seen.at(-1))
}
assert.match(seen[0], /^201 location: .orders.1/)
assert.match(seen[1], /^201 location: null/)
assert.match(seen[2], /^204/)
assert.match(seen[3], /^409 .*still in progress/)
process.exit()
JS
node run.js
