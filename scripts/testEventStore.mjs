// The contract of the log and the facts its adapter relies on, against the real EventStoreDB that EVENTSTORE_URL names. It is
// written to: give it one that holds nothing else. `npm test` runs the same tests on the stand-in.
import { spawnSync } from 'node:child_process'

if ((process.env.EVENTSTORE_URL ?? '') === '') {
  process.stderr.write('EVENTSTORE_URL names no server, for example esdb://127.0.0.1:2113?tls=false\n')
  process.exit(2)
}
const tests = ['test/contract/eventLogEventStore.test.ts', 'test/eventlog/eventstoredb/facts.test.ts']
const { status } = spawnSync(
  process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', '--no-file-parallelism', ...tests],
  {
    stdio: 'inherit',
  },
)
process.exit(status ?? 1)
