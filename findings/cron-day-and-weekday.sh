#!/usr/bin/env bash
# About: node-cron 4.6.0 and @breejs/later 4.2.0, against cron-parser 5.5.0 and croner 11.0.1.
# Expected: With a day of the month and a day of the week, "0 0 1 * 1", cron runs on the first of
#   the month and on every Monday.
# Seen: node-cron and later run only on a Monday that is the first: a few runs a year in the place
#   of about sixty.
# Meaning: A report or a cleanup that is moved from a crontab into the service nearly stops, and
#   nothing says so.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts node-cron@4.6.0 @breejs/later@4.2.0 cron-parser@5.5.0 croner@11.0.1 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import later from '@breejs/later'
import { CronExpressionParser } from 'cron-parser'
import { Cron } from 'croner'
import cron from 'node-cron'

const line = '0 0 1 * 1'
const start = new Date('2026-01-01T12:00:00Z')
const in2026 = (days) => days.filter((day) => day.toISOString() < '2027').length
const parser = CronExpressionParser.parse(line, { currentDate: start, tz: 'UTC' })
const parsed = in2026(parser.take(70).map((day) => day.toDate()))
const croner = in2026(new Cron(line, { timezone: 'UTC' }).nextRuns(70, start))
const laterRuns = in2026(later.schedule(later.parse.cron(line)).next(70, start))
const nodeCron = cron.createTask(line, () => {}, { timezone: 'UTC' }).getNextRuns(5)
const allMondaysAndFirst = nodeCron.every((day) => day.getUTCDay() === 1 && day.getUTCDate() === 1)
console.log('runs in 2026: cron-parser', parsed, ' croner', croner, ' later', laterRuns)
console.log('node-cron, next runs:', nodeCron.map((day) => day.toISOString().slice(0, 10)).join(' '))
assert.deepEqual([parsed, croner], [62, 62])
assert.equal(laterRuns, 1)
assert.ok(allMondaysAndFirst)
process.exit()
JS
node run.js
