import { anyPipeline } from '../operation/pipeline.ts'
import type { PipelineRow } from '../projections/readModel.ts'
import type { ApiContext } from './context.ts'
import { decodedPlace } from './operationPage.ts'
import { encodePageToken } from './pageToken.ts'

/** Definitions asked of the read model at once: each may be a megabyte, and the page ends at `pageBytesMax`. */
const stepMax = 8

const listFilter = 'pipelines'

const builtIn: Omit<PipelineRow, 'definedAt'> & { readonly definedAt: null } = {
  name: anyPipeline.name,
  version: anyPipeline.version,
  definition: anyPipeline.definition,
  definedAt: null,
}

/** The answer of `GET /v1/pipelines`: in order of names, the built-in `any` among them. Throws ProblemError. */
export async function listPipelines(
  { readModel, limits: { pageBytesMax } }: Pick<ApiContext, 'readModel' | 'limits'>,
  pageSize: number,
  pageToken: string | undefined,
): Promise<{ readonly text: string; readonly position: bigint }> {
  const texts: string[] = []
  let [after = ''] = pageToken === undefined ? [] : decodedPlace(pageToken, listFilter, 1)
  let position: bigint | null = null
  let bytes = 0
  let more = true
  while (more && texts.length < pageSize && bytes < pageBytesMax) {
    const step = Math.min(stepMax, pageSize - texts.length)
    // One more than is shown says whether there is more.
    const read = await readModel.pipelines(step + 1, after)
    if (position === null || read.position < position) position = read.position
    const rows = withBuiltIn(read.value, after, step + 1)
    more = rows.length > step
    for (const row of rows.slice(0, step)) {
      const text = JSON.stringify(row)
      texts.push(text)
      bytes += text.length
      after = row.name
    }
  }
  const token = more ? encodePageToken([after], listFilter) : ''
  return { text: `{"pipelines":[${texts.join(',')}],"nextPageToken":"${token}"}`, position: position ?? 0n }
}

/** `rows` are the next after `after`, at most `maxCount`; so is what this gives. */
function withBuiltIn(rows: readonly PipelineRow[], after: string, maxCount: number) {
  if (builtIn.name <= after) return rows
  const others = rows.filter(({ name }) => name !== builtIn.name)
  return [...others, builtIn].sort((one, other) => (one.name < other.name ? -1 : 1)).slice(0, maxCount)
}
