// The service every team writes first: one row per operation, one UPDATE per report, a pool of 20.
// It keeps nothing of what happened, checks no order and knows no idempotency key: that is what it is cheap at.
import Fastify from 'fastify'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.BENCH_DATABASE_URL, max: 20 })
pool.on('error', (error) => process.stderr.write(`${error.message}\n`))

const app = Fastify({ logger: false })

app.post('/v1/operations/:id/reports', async (request, reply) => {
  const { status, service, data } = request.body
  const { rows } = await pool.query({
    name: 'report',
    text: `UPDATE operation SET status = $2, service = $3, data = $4, updated_at = now(), version = version + 1
           WHERE id = $1 RETURNING version`,
    values: [request.params.id, status, service, JSON.stringify(data)],
  })
  if (rows.length === 0) return reply.code(404).send({ status: 404 })
  return { operation: request.params.id, outcome: 'applied', revision: rows[0].version }
})

app.get('/readyz', () => ({ status: 'ok' }))

await app.listen({ host: '127.0.0.1', port: Number(process.env.BENCH_PORT) })
process.once('SIGTERM', () => app.close().then(() => pool.end()))
