import type { Call } from '../history/call.ts'
import { FileRecorder } from '../history/recorder.ts'

export async function keepHistory(folder: string, name: string, calls: readonly Call[]): Promise<void> {
  const recorder = new FileRecorder(folder, name)
  for (const call of calls) recorder.record(call)
  await recorder.close()
}
