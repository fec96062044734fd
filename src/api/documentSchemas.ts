interface Document {
  readonly components?: { schemas?: Record<string, unknown> }
}

/**
 * The generator makes each schema twice, for requests (`NameInput`) and for answers. Where both say the same, `Name` alone stays;
 * schemas that nothing refers to go.
 */
export function tidySchemas<T extends Document>(document: T): T {
  const schemas = document.components?.schemas ?? {}
  const twins = new Set(
    Object.keys(schemas).filter((name) => {
      const base = schemas[withoutSuffix(name)]
      return name.endsWith(suffix) && (base === undefined || unified(schemas[name]) === unified(base))
    }),
  )
  const renamed: T = JSON.parse(
    JSON.stringify(document, (_key, value: unknown) => {
      if (typeof value !== 'string' || !value.startsWith(prefix)) return value
      const name = value.slice(prefix.length)
      return twins.has(name) ? prefix + withoutSuffix(name) : value
    }),
  )
  const all = renamed.components?.schemas ?? {}
  for (const name of twins) {
    all[withoutSuffix(name)] ??= all[name]
    delete all[name]
  }
  for (let before = -1; before !== Object.keys(all).length; ) {
    before = Object.keys(all).length
    const text = JSON.stringify(renamed)
    for (const name of Object.keys(all)) if (!text.includes(`"${prefix}${name}"`)) delete all[name]
  }
  return renamed
}

const suffix = 'Input'
const prefix = '#/components/schemas/'

function withoutSuffix(name: string): string {
  return name.slice(0, -suffix.length)
}

/** Text that is the same for both twins: references to either are written alike. */
function unified(schema: unknown): string {
  return JSON.stringify(schema).replaceAll(new RegExp(`("${prefix}\\w+?)${suffix}"`, 'g'), '$1"')
}
