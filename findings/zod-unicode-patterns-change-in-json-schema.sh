#!/usr/bin/env bash
# About: zod 4.6.7, schemas that are written out as JSON Schema (toJSONSchema) and read again (fromJSONSchema).
# Expected: A text that the schema takes is taken by the schema made of its own JSON Schema. JSON Schema 2020-12 (6.4, Regular
#   Expressions) has patterns read in Unicode mode.
# Seen: The pattern is written without its flags and read without Unicode mode. "\p{Cc}", the control characters, is then the six
#   characters p { C c } themselves: a name with a small c in it is refused.
# Meaning: A client or gateway whose checks are made of a published document refuses names that the service takes. Write the
#   characters out in a published pattern.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts zod@4.6.7 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { z } from 'zod'

const name = z.string().regex(/^[^\p{Cc}]+$/u)
const again = z.fromJSONSchema(z.toJSONSchema(name))
const seen = ['mail', 'ocr', 'Ocr'].map((text) => {
  const taken = [name.safeParse(text).success, again.safeParse(text).success]
  console.log(JSON.stringify(text), 'taken by the schema:', taken[0], 'by its JSON Schema:', taken[1])
  return taken
})
assert.deepEqual(seen, [
  [true, true],
  [true, false],
  [true, false],
])
JS
node run.js
