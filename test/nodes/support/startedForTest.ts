import { onTestFinished } from 'vitest'
import type { BuiltService } from './builtService.ts'
import { type NodeStarter, nodeStarter } from './nodeProcess.ts'

/** For tests that start nodes of their own. */
export function startedForTest(service: BuiltService, environment: Readonly<Record<string, string>>): NodeStarter {
  const starter = nodeStarter(service, environment)
  onTestFinished(() => starter.end())
  return starter
}
