import pg from 'pg'

let made = 0

/** A new, empty database on the server; settles with its connection string. */
export async function createDatabase(server, purpose) {
  made += 1
  const name = `bench_${purpose}_${made}`
  const admin = new pg.Client({ connectionString: server.connectionString })
  await admin.connect()
  try {
    await admin.query(`CREATE DATABASE ${name}`)
  } finally {
    await admin.end()
  }
  const url = new URL(server.connectionString)
  url.pathname = `/${name}`
  return url.href
}

/** What a figure leaves behind must not be vacuumed during the next. */
export async function dropDatabases(server) {
  const admin = new pg.Client({ connectionString: server.connectionString })
  await admin.connect()
  try {
    const { rows } = await admin.query(`SELECT datname FROM pg_database WHERE datname LIKE 'bench\\_%'`)
    for (const { datname } of rows) await admin.query(`DROP DATABASE ${datname} WITH (FORCE)`)
    await admin.query('CHECKPOINT')
  } finally {
    await admin.end()
  }
}

/** What the parties' durability rests on. Throws when any of it is off: no figure would count. */
export async function durableSettings(server) {
  const client = new pg.Client({ connectionString: server.connectionString })
  await client.connect()
  try {
    const { rows } = await client.query(
      `SELECT name, setting FROM pg_settings WHERE name IN
         ('fsync', 'full_page_writes', 'synchronous_commit', 'wal_sync_method', 'server_version', 'shared_buffers')`,
    )
    const settings = Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))
    for (const name of ['fsync', 'full_page_writes', 'synchronous_commit']) {
      if (settings[name] !== 'on') throw new Error(`${name} is ${settings[name]}`)
    }
    return settings
  } finally {
    await client.end()
  }
}
