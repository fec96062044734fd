// What docs/operations.md says is run where no tool of PostgreSQL's is needed; scripts/testBackup.mjs runs the rest.
import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import { environmentSchema } from '../../src/config/environmentSchema.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { postgresMajorMin } from '../../src/postgres/connectDirectly.ts'
import { createMigratedDatabase } from '../support/database.ts'

const root = new URL('../../', import.meta.url)
const page = await readFile(new URL('docs/operations.md', root), 'utf8')

describe('docs/operations.md', () => {
  it('shows who is connected', async () => {
    const [statement] = [...page.matchAll(/^```sql\n(SELECT.*?)^```$/gms)].map(([, text = '']) => text)
    const database = await createMigratedDatabase()
    onTestFinished(() => database.drop())
    const { connectionString } = database
    const log = await openPostgresEventLog({ connectionString })
    onTestFinished(() => log.close())
    const client = new pg.Client({ connectionString })
    await client.connect()
    onTestFinished(() => client.end())
    const { rows } = await client.query(statement ?? '')
    expect(rows.map((row: { application_name: string }) => row.application_name)).toContain('waybill append')
  })

  it('names the oldest version that is not refused', () => {
    expect(page).toContain(`**${postgresMajorMin} to 18**; ${postgresMajorMin} is the oldest that works`)
  })

  it('names only variables and npm scripts that there are', async () => {
    const variables = [...page.matchAll(/\b(?:WAYBILL_[A-Z_]+|DATABASE_URL)\b/g)].map(([name]) =>
      name.replace(/_FILE$/, ''),
    )
    const { scripts } = JSON.parse(await readFile(new URL('package.json', root), 'utf8'))
    const named = [...page.matchAll(/`npm run ([\w:]+)/g)].map(([, name]) => name)
    expect(variables.length).toBeGreaterThan(3)
    expect(named.length).toBeGreaterThan(1)
    for (const name of variables) expect(Object.keys(environmentSchema.shape)).toContain(name)
    for (const name of named) expect(Object.keys(scripts)).toContain(name)
  })

  it('links to headings that there are', async () => {
    for (const [, file = '', anchor = ''] of page.matchAll(/\]\(([\w./-]+)#([\w-]+)\)/g)) {
      const text = await readFile(new URL(`docs/${file}`, root), 'utf8')
      const anchors = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
        title.toLowerCase().replaceAll(' ', '-'),
      )
      expect(anchors).toContain(anchor)
    }
  })
})
