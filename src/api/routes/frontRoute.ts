import { z } from 'zod'
import { sendJson } from '../answer.ts'
import type { ApiServer } from '../apiServer.ts'
import { jsonAnswer, openProblemAnswers } from '../contract/answers.ts'
import { front } from '../contract/front.ts'
import { noQuery } from '../contract/paging.ts'
import { preferredType } from '../mediaTypes.ts'

const types = ['application/json', 'text/html'] as const

/** Nothing but the page itself: no script, no style, no picture, no form, in nobody's frame. */
const contentSecurityPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** Who opens the service's address in a browser, or asks it with curl, learns where to go on. */
export function frontRoute(app: ApiServer, version: string): void {
  const { documentation, openapi, readiness } = paths
  const text = JSON.stringify({ name: 'Waybill', version, documentation, openapi, readiness })
  const page = pageOf(version)
  app.get(
    '/',
    {
      config: { access: 'open' },
      schema: {
        operationId: 'getFront',
        summary: 'Where to go on from here: a page for browsers, otherwise JSON',
        description: 'For whoever opens the address of the service in a browser, or asks it with curl.',
        tags: ['service'],
        querystring: noQuery,
        response: {
          200: {
            description: 'The paths that are of use first.',
            content: { ...jsonAnswer('', front).content, 'text/html': { schema: z.string() } },
          },
          ...openProblemAnswers(406),
        },
      },
    },
    (request, reply) => {
      reply.header('vary', 'accept')
      if (preferredType(request.headers.accept, types) !== 'text/html') return sendJson(reply, 200, text)
      return reply
        .headers({
          'content-type': 'text/html; charset=utf-8',
          'content-security-policy': contentSecurityPolicy,
          'referrer-policy': 'no-referrer',
          'x-content-type-options': 'nosniff',
        })
        .send(page)
    },
  )
}

const paths = { documentation: '/docs', openapi: '/openapi.json', readiness: '/readyz?verbose' } as const

/** Its links are relative: behind a proxy the service may be below another path. */
function pageOf(version: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Waybill</title>
</head>
<body>
<h1>Waybill</h1>
<p>This service tells where every JSON is: services report to it, and people and programs ask it. Version ${version}.</p>
<ul>
<li><a href="${paths.documentation.slice(1)}">The API, described and to try out</a></li>
<li><a href="${paths.openapi.slice(1)}">The same for programs (OpenAPI)</a></li>
<li><a href="${paths.readiness.slice(1)}">Whether the service is ready</a></li>
</ul>
</body>
</html>
`
}
