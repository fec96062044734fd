import type { ApiServer } from './apiServer.ts'
import { noRoute } from './notFound.ts'
import type { Problem } from './problem.ts'

/** Knows which methods a path takes, so that a known path with another method is 405 and not 404 as Fastify says. */
export interface MethodIndex {
  problem(method: string, url: string): Problem
}

export function createMethodIndex(app: ApiServer): MethodIndex {
  const paths = new Map<string, { readonly form: RegExp; readonly methods: Set<string> }>()
  app.addHook('onRoute', ({ url, method }) => {
    const path = paths.get(url) ?? { form: pathForm(url), methods: new Set() }
    for (const name of [method].flat()) path.methods.add(name.toUpperCase())
    paths.set(url, path)
  })
  return {
    problem(method, url) {
      const path = url.split('?', 1)[0] ?? url
      for (const { form, methods } of paths.values()) {
        if (!form.test(path) || methods.has(method)) continue
        const allow = [...methods].sort()
        return { code: 'method_not_allowed', detail: `This path takes ${allow.join(', ')}.`, allow }
      }
      return noRoute(path).problem
    },
  }
}

/** A parameter is one segment, `*` all that is left. */
function pathForm(url: string): RegExp {
  const segments = url.split('/').map((segment) => {
    if (segment === '*') return '.*'
    return segment.startsWith(':') ? '[^/]+' : segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${segments.join('/')}$`)
}
