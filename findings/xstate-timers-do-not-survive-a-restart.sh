#!/usr/bin/env bash
# About: xstate 5.33.3, statecharts.
# Expected: A machine restored from its persisted snapshot still takes its delayed transition
#   ("after"), at the old time or after the whole delay again.
# Seen: It never does. The snapshot holds no trace of the timer and the restored machine stays in
#   its state.
# Meaning: Every deadline that is running when the process restarts is lost, and the operations
#   that wait for it wait for ever.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts xstate@5.33.3 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { createActor, createMachine } from 'xstate'

const machine = createMachine({
  initial: 'waiting',
  states: { waiting: { after: { 100: 'overdue' } }, overdue: {} },
})
const wait = () => new Promise((resolve) => setTimeout(resolve, 500))
const undisturbed = createActor(machine).start()
const persisted = JSON.stringify(undisturbed.getPersistedSnapshot())
const restored = createActor(machine, { snapshot: JSON.parse(persisted) }).start()
await wait()
console.log('snapshot:   ', persisted)
console.log('undisturbed:', undisturbed.getSnapshot().value)
console.log('restored:   ', restored.getSnapshot().value)
assert.equal(undisturbed.getSnapshot().value, 'overdue')
assert.equal(restored.getSnapshot().value, 'waiting')
JS
node run.js
