#!/usr/bin/env bash
# About: ndjson 2.0.0 with split2 3.2.2, and jsonlines 0.1.1.
# Expected: null is a JSON value, so a line with null is a value as any other, or is skipped.
# Seen: The line with null ends the stream: no line after it is delivered, and the next line
#   raises "stream.push() after EOF".
# Meaning: One line of null in a bulk file loses every line behind it; a reader that only listens
#   to "data" and "end" takes the file for complete up to there.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts ndjson@2.0.0 split2@3.2.2 jsonlines@0.1.1 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import jsonlines from 'jsonlines'
import ndjson from 'ndjson'

const text = '{"line":1}\nnull\n{"line":3}\n{"line":4}\n'
for (const [name, stream] of [
  ['ndjson', ndjson.parse()],
  ['jsonlines', jsonlines.parse()],
]) {
  const lines = []
  stream.on('data', (line) => lines.push(line))
  const end = await new Promise((resolve) => {
    stream.on('end', () => resolve('end')).on('error', (error) => resolve(error.message))
    stream.end(text)
  })
  console.log(name, JSON.stringify(lines), end)
  assert.deepEqual(lines, [{ line: 1 }])
}
JS
node run.js
