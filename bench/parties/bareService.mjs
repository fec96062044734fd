// The ceiling: the same requests and answers of the same shape or size, and nothing in between.
import Fastify from 'fastify'

const app = Fastify({ logger: false })
let revision = 0
let operation = '{}'

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

/** What is answered to all reads from now on. */
app.put('/answer', (request) => {
  operation = JSON.stringify(request.body)
  return {}
})

app.get('/v1/operations/:id', (_request, reply) => {
  reply.header('content-type', 'application/json; charset=utf-8').send(operation)
})

app.get('/readyz', () => ({ status: 'ok' }))

await app.listen({ host: '127.0.0.1', port: Number(process.env.BENCH_PORT) })
process.once('SIGTERM', () => app.close())
