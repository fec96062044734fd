// `waybill` as a process of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { dirname, join } from 'node:path'

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface WaybillCommand {
  /** `input`: its standard input; without, there is none. */
  run(args: readonly string[], environment?: Readonly<Record<string, string>>, input?: string): Promise<Ran>
  /** Ends what still runs. */
  end(): void
}

/** The command line beside a built service's program. */
export function waybillCommand(program: string): WaybillCommand {
  const cli = join(dirname(program), 'cli', 'main.js')
  const children = new Set<ChildProcess>()
  return {
    run(args, environment = {}, input) {
      const child = spawn(process.execPath, [cli, ...args], {
        env: { PATH: process.env.PATH, ...environment },
        stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      })
      children.add(child)
      child.stdin?.end(input)
      let [out, err] = ['', '']
      child.stdout?.on('data', (chunk: Buffer) => {
        out += chunk.toString()
      })
      child.stderr?.on('data', (chunk: Buffer) => {
        err += chunk.toString()
      })
      return new Promise((resolve) =>
        child.on('close', (code) => {
          children.delete(child)
          resolve({ code, out, err })
        }),
      )
    },
    end() {
      for (const child of children) child.kill('SIGKILL')
    },
  }
}
