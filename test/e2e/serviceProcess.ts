import { type ChildProcess, spawn } from 'node:child_process'

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
