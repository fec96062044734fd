// The linter enforces the arrows between the rooms (biome.json, noRestrictedImports). A rule that matches nothing
// passes in silence, so each arrow is proved here by a planted violation that must fail, and an allowed one that must not.
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'

const cases = [
  { room: 'runtime', imports: '../eventlog/eventLog.ts', allowed: false },
  { room: 'runtime', imports: '../operation/names.ts', allowed: false },
  { room: 'eventlog', imports: '../runtime/semaphore.ts', allowed: true },
  { room: 'operation', imports: '../eventlog/eventLog.ts', allowed: false },
  { room: 'operation', imports: 'node:fs', allowed: false },
  { room: 'operation', imports: '../runtime/wakeUp.ts', allowed: false },
  { room: 'eventlog', imports: '../operation/events.ts', allowed: false },
  { room: 'commands', imports: '../projections/readModel.ts', allowed: false },
  { room: 'projections', imports: '../commands/commandService.ts', allowed: false },
  { room: 'commands', imports: '../eventlog/postgres/postgresEventLog.ts', allowed: false },
  { room: 'api', imports: '../eventlog/postgres/postgresEventLog.ts', allowed: false },
  { room: 'api', imports: '../postgres/connection.ts', allowed: false },
  { room: 'commands', imports: 'fastify', allowed: false },
  { room: 'demo', imports: '../commands/commandService.ts', allowed: false },
  { room: 'demo', imports: '../api/contract/commands.ts', allowed: false },
  { room: 'client', imports: '../api/contract/commands.ts', allowed: false },
  { room: 'access', imports: '../eventlog/eventLog.ts', allowed: false },
  { room: 'access', imports: '../operation/names.ts', allowed: false },
  { room: 'commands', imports: '../access/access.ts', allowed: false },
  { room: 'commands', imports: '../snapshots/snapshotStore.ts', allowed: true },
  { room: 'commands', imports: '../snapshots/postgresSnapshots.ts', allowed: false },
  { room: 'projections', imports: '../snapshots/snapshotStore.ts', allowed: false },
  { room: 'snapshots', imports: '../operation/state.ts', allowed: false },
  { room: 'snapshots', imports: '../postgres/connection.ts', allowed: true },
  { room: 'cli', imports: '../access/access.ts', allowed: false },
  { room: 'cli', imports: '../client/client.ts', allowed: false },
  { room: 'cli', imports: '../eventlog/eventLog.ts', allowed: false },
  { room: 'cli/offline', imports: '../../operation/events.ts', allowed: false },
  { room: 'cli/offline', imports: '../../eventlog/eventLog.ts', allowed: true },
  { room: 'processes', imports: '../api/server.ts', allowed: false },
  { room: 'processes', imports: '../postgres/connection.ts', allowed: false },
  { room: 'processes', imports: '../eventlog/postgres/postgresEventLog.ts', allowed: false },
  { room: 'commands', imports: '../processes/selfAudit.ts', allowed: false },
  { room: 'projections', imports: '../processes/selfAudit.ts', allowed: false },
  { room: 'access', imports: '../postgres/connection.ts', allowed: true },
  { room: 'processes', imports: '../eventlog/eventLog.ts', allowed: true },
  { room: 'processes', imports: '../projections/readModel.ts', allowed: true },
  { room: 'api', imports: '../processes/selfAudit.ts', allowed: true },
  { room: 'client', imports: '../demo/json.ts', allowed: false },
  { room: 'demo', imports: '../client/client.ts', allowed: true },
  { room: 'api', imports: '../access/access.ts', allowed: true },
  { room: 'commands', imports: '../eventlog/eventLog.ts', allowed: true },
  { room: 'projections', imports: '../operation/events.ts', allowed: true },
]

let wrong = 0
for (const { room, imports, allowed } of cases) {
  const file = new URL(`../src/${room}/plantedViolation.ts`, import.meta.url)
  writeFileSync(file, `import * as planted from '${imports}'\n\nexport const use = planted\n`)
  try {
    const { stdout, stderr } = spawnSync(
      'node_modules/.bin/biome',
      ['lint', '--only=style/noRestrictedImports', file.pathname],
      { cwd: new URL('..', import.meta.url), encoding: 'utf8' },
    )
    const refused = `${stdout}${stderr}`.includes('noRestrictedImports')
    if (refused === allowed) {
      wrong += 1
      process.stderr.write(`src/${room} importing ${imports}: ${refused ? 'refused' : 'let through'}\n`)
    }
  } finally {
    rmSync(file)
  }
}
process.stdout.write(`layers: ${cases.length - wrong} of ${cases.length} planted imports judged rightly\n`)
process.exit(wrong === 0 ? 0 : 1)
