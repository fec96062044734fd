import { createWaybillClient, type WaybillClient } from '../../src/client/client.ts'
import type { ClientOptions } from '../../src/client/options.ts'
import { type ApiHarness, type HarnessOptions, startApi } from '../api/apiHarness.ts'

export interface RunningService {
  readonly url: string
  readonly api: ApiHarness
  /** A client of it that waits for nothing between attempts. */
  client(options?: Partial<ClientOptions>): WaybillClient
  close(): Promise<void>
}

/** The real modules, listening on a port of their own. */
export async function startService(options: HarnessOptions = {}): Promise<RunningService> {
  const api = await startApi(options)
  const url = await api.app.listen({ host: '127.0.0.1', port: 0 })
  return {
    url,
    api,
    client: (options = {}) => createWaybillClient({ baseUrl: url, random: () => 0, ...options }),
    close: () => api.close(),
  }
}
