import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

export interface BuiltService {
  /** What `node` is given. */
  readonly program: string
  remove(): void
}

/** The service as `npm run build` makes it, in a folder of its own: `dist` may be in use by other tests. */
export function buildService(): BuiltService {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-service-'))
  const dist = join(folder, 'dist')
  const compiled = spawnSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc')].concat(
      ['-p', join(root, 'tsconfig.build.json'), '--outDir', dist, '--incremental', 'false'],
      ['--tsBuildInfoFile', 'null', '--declaration', 'false', '--sourceMap', 'false'],
    ),
    { encoding: 'utf8' },
  )
  if (compiled.status !== 0) throw new Error(`The build failed: ${compiled.stdout}${compiled.stderr}`)
  cpSync(join(root, 'src'), dist, {
    recursive: true,
    filter: (source) => !/\.[a-z]+$/.test(source) || source.endsWith('.sql'),
  })
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction')
  return { program: join(dist, 'main.js'), remove: () => rmSync(folder, { recursive: true, force: true }) }
}

export interface ServiceProcess {
  readonly child: ChildProcess
  /** `http://127.0.0.1:port`, once it has said so; rejects when it ends before. */
  readonly url: Promise<string>
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  /** All it has written so far, to both streams. */
  output(): string
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** `node dist/main.js`, on a free port, with nothing of this process's environment but the path. */
export function startService(
  program: string,
  environment: Readonly<Record<string, string>>,
  args: readonly string[] = [],
  through: 'nothing' | 'shell' = 'nothing',
): ServiceProcess {
  // A shell that has something left to do afterwards stays between, as the one that npm runs scripts in.
  const [file, words] =
    through === 'shell'
      ? ['sh', ['-c', '"$0" "$@"; true', process.execPath, program, ...args]]
      : [process.execPath, [program, ...args]]
  const child = spawn(file, words, {
    env: { PATH: process.env.PATH, WAYBILL_PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let output = ''
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child)
      resolve({ code, signal })
    })
  })
  const url = new Promise<string>((resolve, reject) => {
    const onData = (chunk: Buffer) => {
      output += chunk.toString()
      const [, address] = /listens on (http:\/\/\S+)[\s\S]*\n {2}curl /.exec(output) ?? []
      if (address !== undefined) resolve(address)
    }
    child.stdout.on('data', onData)
    child.stderr.on('data', onData)
    void ended.then(() => reject(new Error(`It ended before it served: ${output}`)))
  })
  // Most tests of a failing start never ask for it.
  url.catch(() => undefined)
  return { child, url, ended, output: () => output }
}
