import { ProblemError } from './problem.ts'

// A 404 names what is missing: of a path with several names in it, which one is wrong is the first thing to know.

export function noOperation(id: string): ProblemError {
  return new ProblemError({ code: 'not_found', detail: `There is no operation ${quoted(id)}.`, operation: id })
}

export function noPipeline(name: string): ProblemError {
  return notFound(`There is no pipeline ${quoted(name)}.`)
}

export function noPipelineVersion(name: string, version: number, newest: number): ProblemError {
  return notFound(`Pipeline ${quoted(name)} has no version ${version}; its newest is ${newest}.`)
}

export function noKey(name: string): ProblemError {
  return notFound(`There is no key ${quoted(name)} in force.`)
}

export function noProjection(name: string): ProblemError {
  return notFound(`There is no projection ${quoted(name)}.`)
}

export function noRebuild(projection: string, id: string): ProblemError {
  return notFound(`Projection ${quoted(projection)} has no rebuild ${quoted(id)}.`)
}

const shownPathLengthMax = 200

/** `path`: as it was asked for, without the query. */
export function noRoute(path: string): ProblemError {
  const shown = path.length > shownPathLengthMax ? `${path.slice(0, shownPathLengthMax)}...` : path
  return notFound(`There is nothing at the path ${shown}. The page at /docs lists all paths.`)
}

function notFound(detail: string): ProblemError {
  return new ProblemError({ code: 'not_found', detail })
}

const quoted = (name: string) => JSON.stringify(name)
