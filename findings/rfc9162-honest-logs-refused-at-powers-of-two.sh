#!/usr/bin/env bash
# About: @transmute/rfc9162 0.0.5, Merkle trees by RFC 9162; proofs made here by the rules of RFC
#   9162, section 2.1.4.
# Expected: The proof that a log of m entries is a prefix of a log of n entries is accepted for
#   every m below n.
# Seen: It is refused whenever m is a power of two (1, 2, 4), though the tree heads agree: the
#   library wants one more node in the proof.
# Meaning: An honest log looks tampered, but only if it was last looked at when it had 1, 2, 4, 8
#   ... entries: tests with sizes such as 3 and 7 pass.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts @transmute/rfc9162@0.0.5 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import library from '@transmute/rfc9162'

const { RFC9162 } = library
const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest()
const split = (size) => 2 ** Math.ceil(Math.log2(size) - 1)
const head = (entries) => {
  if (entries.length === 1) return sha256(Buffer.from([0]), entries[0])
  const k = split(entries.length)
  return sha256(Buffer.from([1]), head(entries.slice(0, k)), head(entries.slice(k)))
}
const proof = (m, entries, whole) => {
  if (m === entries.length) return whole ? [] : [head(entries)]
  const k = split(entries.length)
  if (m <= k) return [...proof(m, entries.slice(0, k), whole), head(entries.slice(k))]
  return [...proof(m - k, entries.slice(k), false), head(entries.slice(0, k))]
}
const log = Array.from({ length: 7 }, (_, i) => Buffer.from(`entry ${i}`))
const refused = []
for (let n = 2; n <= 7; n++) {
  for (let m = 1; m < n; m++) {
    const entries = log.slice(0, n)
    const before = await RFC9162.treeHead(entries.slice(0, m))
    const after = await RFC9162.treeHead(entries)
    assert.ok(head(entries).equals(Buffer.from(after)))
    const accepted = await RFC9162.verifyConsistencyProof(before, after, {
      log_id: '',
      tree_size_1: m,
      tree_size_2: n,
      consistency_path: proof(m, entries, true),
    })
    if (!accepted) refused.push(`${m}->${n}`)
  }
}
console.log('refused:', refused.join(' '))
assert.deepEqual(
  refused,
  '1->2 1->3 2->3 1->4 2->4 1->5 2->5 4->5 1->6 2->6 4->6 1->7 2->7 4->7'.split(' '),
)
JS
node run.js
