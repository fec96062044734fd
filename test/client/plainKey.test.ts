import { describe, expect, onTestFinished, test } from 'vitest'
import { readConnection } from '../../src/cli/connection.ts'
import { settingsOf } from '../../src/client/options.ts'

const other = ['http://waybill.example:8080', 'http://10.0.0.7', 'http://127.0.0.1.example/', 'http://[::2]:8080']
const safe = [
  'https://waybill.example',
  'http://localhost:8080',
  'http://127.3.2.1',
  'http://[::1]:80',
  'http://a.localhost',
]

/** What Node would print on standard error. */
async function warningsOf(work: () => void): Promise<string[]> {
  const warnings: string[] = []
  const note = (warning: Error & { readonly code?: string }) => {
    if (warning.code === 'WAYBILL_PLAIN_KEY') warnings.push(warning.message)
  }
  process.on('warning', note)
  onTestFinished(() => {
    process.off('warning', note)
  })
  work()
  // They are told in the next turn.
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', note)
  return warnings
}

describe('a key that goes to another machine by plain HTTP', () => {
  test('is warned of by the client, once for each origin, without the key', async () => {
    for (const baseUrl of other) {
      const options = { baseUrl, apiKey: 'wb_secret' }
      const warnings = await warningsOf(() => {
        settingsOf(options)
        settingsOf({ baseUrl, headers: { Authorization: 'Bearer wb_secret' } })
      })
      expect(warnings, baseUrl).toHaveLength(1)
      expect(warnings[0]).toContain(new URL(baseUrl).origin)
      expect(warnings[0]).not.toContain('wb_secret')
    }
  })

  test('is warned of by the client also where the key is in a header of its own', async () => {
    const headers = { Authorization: 'Bearer wb_secret' }
    expect(await warningsOf(() => settingsOf({ baseUrl: 'http://header.example', headers }))).toHaveLength(1)
  })

  test('is warned of by the command line, unless it is to be quiet', () => {
    for (const url of other) {
      const told: string[] = []
      readConnection({ url }, { WAYBILL_KEY: 'wb_secret' }, (text) => told.push(text))
      expect(told, url).toHaveLength(1)
      expect(told[0]).toContain(new URL(url).origin)
      expect(told[0]).not.toContain('wb_secret')
      readConnection({ url, quiet: true }, { WAYBILL_KEY: 'wb_secret' }, (text) => told.push(text))
      expect(told).toHaveLength(1)
    }
  })
})

test('nobody is warned of a key that stays on the machine or is encrypted, nor where there is none', async () => {
  const told: string[] = []
  const warnings = await warningsOf(() => {
    for (const url of safe) {
      settingsOf({ baseUrl: url, apiKey: 'wb_secret' })
      readConnection({ url }, { WAYBILL_KEY: 'wb_secret' }, (text) => told.push(text))
    }
    settingsOf({ baseUrl: 'http://keyless.example' })
    readConnection({ url: 'http://keyless.example' }, {}, (text) => told.push(text))
  })
  expect([warnings, told]).toEqual([[], []])
})
