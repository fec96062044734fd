#!/usr/bin/env bash
# About: yjs 13.6.33, documents that are merged without conflicts.
# Expected: Two people who each make the list of a new document and put an entry in see both
#   entries after they are merged.
# Seen: One of the two lists stays, whole, and the other is gone with all its entries; which one
#   is decided by the random ids of the clients.
# Meaning: Whoever fills in a document first, while offline, can lose everything. Nothing is
#   reported, and the loser sees its entries until the moment it is connected.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts yjs@13.6.33 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import * as Y from 'yjs'

const merged = (idOfAda, idOfBob) => {
  const [ada, bob] = [new Y.Doc(), new Y.Doc()]
  ada.clientID = idOfAda
  bob.clientID = idOfBob
  for (const [doc, by] of [
    [ada, 'Ada'],
    [bob, 'Bob'],
  ]) {
    const order = doc.getMap('order')
    order.set('lines', new Y.Array())
    order.get('lines').push([`a line by ${by}`, `another by ${by}`])
  }
  Y.applyUpdate(ada, Y.encodeStateAsUpdate(bob))
  Y.applyUpdate(bob, Y.encodeStateAsUpdate(ada))
  assert.deepEqual(ada.getMap('order').toJSON(), bob.getMap('order').toJSON())
  return ada.getMap('order').toJSON().lines
}
console.log('ids 1 and 2:', JSON.stringify(merged(1, 2)))
console.log('ids 2 and 1:', JSON.stringify(merged(2, 1)))
assert.deepEqual(merged(1, 2), ['a line by Bob', 'another by Bob'])
assert.deepEqual(merged(2, 1), ['a line by Ada', 'another by Ada'])
JS
node run.js
