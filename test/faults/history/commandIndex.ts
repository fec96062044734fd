import { type Call, isWrite, type WriteCall } from './call.ts'

/** All that was sent under one key. */
export interface SentCommand {
  readonly stream: string
  readonly key: string
  /** In the order in which they began. */
  readonly calls: readonly WriteCall[]
}

export type CommandIndex = ReadonlyMap<string, ReadonlyMap<string, SentCommand>>

/** By stream and key. */
export function indexCommands(calls: readonly Call[]): CommandIndex {
  const index = new Map<string, Map<string, { stream: string; key: string; calls: WriteCall[] }>>()
  for (const call of calls) {
    if (!isWrite(call)) continue
    const { stream, key } = call
    let keys = index.get(stream)
    if (keys === undefined) {
      keys = new Map()
      index.set(stream, keys)
    }
    const command = keys.get(key)
    if (command === undefined) keys.set(key, { stream, key, calls: [call] })
    else command.calls.push(call)
  }
  for (const keys of index.values()) {
    for (const command of keys.values()) command.calls.sort((one, other) => one.startUs - other.startUs)
  }
  return index
}
