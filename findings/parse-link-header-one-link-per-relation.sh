#!/usr/bin/env bash
# About: parse-link-header 2.0.0 and li 1.3.0: Link headers by RFC 8288.
# Expected: Several links of one relation ("item", "alternate", "describedby") are all given; a
#   semicolon in a quoted title is part of the title.
# Seen: Only the last link of a relation is left; parse-link-header also cuts the title at the
#   semicolon and makes an attribute of the rest.
# Meaning: A collection that lists its parts as links seems to have one part.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts parse-link-header@2.0.0 li@1.3.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import li from 'li'
import parseLinkHeader from 'parse-link-header'

const header = '</ops/1>; rel="item", </ops/2>; rel="item", </ops/3>; rel="item"; title="three; last=yes"'
const parsed = parseLinkHeader(header)
console.log('header:           ', header)
console.log('parse-link-header:', JSON.stringify(parsed))
console.log('li:               ', JSON.stringify(li.parse(header)))
assert.equal(parsed.item.url, '/ops/3')
assert.equal(parsed.item.title, 'three')
assert.equal(parsed.item.last, 'yes')
assert.deepEqual({ ...li.parse(header) }, { item: '/ops/3' })
JS
node run.js
