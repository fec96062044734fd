import { readFileSync } from 'node:fs'

export type Environment = Readonly<Record<string, string | undefined>>

/** The settings that are not empty, with secrets read from their files. Adds to `errors` what is wrong with them. */
export function takeKnown(
  environment: Environment,
  names: readonly string[],
  errors: string[],
): Record<string, string> {
  const given: Record<string, string> = {}
  for (const name of names) {
    const value = environment[name]
    if (value !== undefined && value !== '') given[name] = value
  }
  for (const name of secrets) {
    const file = environment[`${name}_FILE`]
    if (file === undefined || file === '') continue
    if (given[name] !== undefined) {
      errors.push(`${name}_FILE: ${name} is set as well; set one of them`)
      continue
    }
    try {
      given[name] = readFileSync(file, 'utf8').trim()
    } catch {
      errors.push(`${name}_FILE: the file cannot be read`)
    }
  }
  return given
}

const secrets = ['DATABASE_URL', 'WAYBILL_MIGRATION_DATABASE_URL', 'EVENTSTORE_URL', 'WAYBILL_OPERATOR_KEY'] as const

/** A secret in a file. */
const secretFiles: ReadonlySet<string> = new Set(secrets.map((name) => `${name}_FILE`))

/** Read by the command line tools that come with the service, and by docker-compose.yml. */
const readElsewhere = new Set(['WAYBILL_URL', 'WAYBILL_KEY', 'WAYBILL_KEY_FILE', 'WAYBILL_POSTGRES_PASSWORD'])

/** Sentences about the variables that look like settings and are none. */
export function unknownVariables(environment: Environment, known: readonly string[]): string[] {
  return Object.keys(environment)
    .filter(
      (name) =>
        name.startsWith('WAYBILL_') && !known.includes(name) && !readElsewhere.has(name) && !secretFiles.has(name),
    )
    .map((name) => {
      const [nearest] = known
        .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
        .sort((one, other) => one.distance - other.distance)
      const hint = nearest !== undefined && nearest.distance <= 3 ? ` Did you mean ${nearest.candidate}?` : ''
      return `${name} is set, and no setting of this version.${hint}`
    })
}

/** Levenshtein. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 0; i < one.length; i += 1) {
    const next = [i + 1]
    for (let j = 0; j < other.length; j += 1) {
      const replaced = (row[j] ?? 0) + (one[i] === other[j] ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
