// The ceiling: the same request and an answer of the same shape, and nothing in between.
import Fastify from 'fastify'

const app = Fastify({ logger: false })
let revision = 0

app.post('/v1/operations/:id/reports', (request) => {
  revision += 1
  return {
    operation: request.params.id,
    command: request.headers['idempotency-key'],
    outcome: 'applied',
    revision,
    position: String(request.body.status.length),
  }
})

app.get('/readyz', () => ({ status: 'ok' }))

await app.listen({ host: '127.0.0.1', port: Number(process.env.BENCH_PORT) })
process.once('SIGTERM', () => app.close())
