import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { normaliseDefinition, sameDefinition } from '../../src/operation/definition.ts'
import { definitionBounds } from '../../src/operation/definitionParse.ts'
import { defaultLimits } from '../../src/operation/limits.ts'
import { given, linear, pipeline, told, when } from '../operation/support/ledger.ts'

const page = readFileSync(new URL('../../docs/pipelines.md', import.meta.url), 'utf8')
const definitions = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text]) => JSON.parse(text ?? ''))

describe('docs/pipelines.md', () => {
  test('shows definitions that are taken as they stand', () => {
    expect(definitions).toHaveLength(5)
    for (const definition of definitions) expect(normaliseDefinition(definition)).toMatchObject({ kind: 'valid' })
  })

  test('says truly what the short form is short for', () => {
    const [short, long] = definitions.map((definition) => pipeline(definition).definition)
    expect(short && long && sameDefinition(short, long)).toBe(true)
  })

  test('names every bound as it is', () => {
    expect(page).toContain(`up to ${definitionBounds.tracksMax}:`)
    expect(page).toContain(`up to ${definitionBounds.transitionsPerTrackMax.toLocaleString('en')} in all`)
    expect(page).toContain(`${defaultLimits.heldCountMax} an operation at most`)
  })

  test.each(['reject', 'advance', 'hold'] as const)('says truly what becomes of reports under %s', (policy) => {
    const rows = [...page.matchAll(/^\| `(\w+)` \| (.+) \| (.+) \| (.+) \|$/gm)].filter(([, status]) =>
      ['read', 'checked', 'paid'].includes(status ?? ''),
    )
    expect(rows).toHaveLength(4)
    const column = { reject: 2, advance: 3, hold: 4 }[policy]
    const ledger = given(linear(policy, ['new', 'read', 'checked', 'paid']))
    for (const row of rows) {
      const [outcome = '', reason] = told(ledger.report({ status: row[1] ?? '' })).split(/ \| | /)
      const [said, why] = (row[column] ?? '').split(/: |, and/)
      expect(outcome).toBe(said)
      if (row[column]?.includes(': ')) expect(reason).toBe(why)
    }
  })

  test('shows a review that ends without legal where the draft was plain, and waits for it otherwise', () => {
    const review = pipeline(definitions[4])
    const plain = given(review, 'main:plain', 'main:review', 'main:rework', 'main:review')
    expect(when(plain, 'main:approved')).toMatch(/^applied/)
    const sensitive = given(review, 'main:sensitive', 'main:review')
    expect(when(sensitive, 'main:approved')).toMatch(/^held requirement_unmet/)
    expect(when(sensitive, 'legal:ok')).toMatch(/main review>approved/)
  })
})
