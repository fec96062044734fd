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
