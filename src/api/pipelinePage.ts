import { anyPipeline } from '../operation/pipeline.ts'
import type { PipelineRow } from '../projections/readModel.ts'
import type { ApiContext } from './context.ts'
import { decodedPlace } from './operationPage.ts'
import { encodePageToken } from './pageToken.ts'
import { readPage } from './steppedPage.ts'

/** Each may be a megabyte. */
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
  const [first] = pageToken === undefined ? [] : decodedPlace(pageToken, listFilter, 1)
  const { texts, next, position } = await readPage({ pageSize, pageBytesMax, stepMax }, first, {
    async read(maxCount, after = '') {
      const found = await readModel.pipelines(maxCount, after)
      return { ...found, value: withBuiltIn(found.value, after, maxCount) }
    },
    textOf: (row) => JSON.stringify(row),
    placeOf: ({ name }) => name,
  })
  const token = next === null ? '' : encodePageToken([next], listFilter)
  return { text: `{"pipelines":[${texts.join(',')}],"nextPageToken":"${token}"}`, position }
}

/** `rows` are the next after `after`, at most `maxCount`; so is what this gives. */
function withBuiltIn(rows: readonly PipelineRow[], after: string, maxCount: number) {
  if (builtIn.name <= after) return rows
  const others = rows.filter(({ name }) => name !== builtIn.name)
  return [...others, builtIn].sort((one, other) => (one.name < other.name ? -1 : 1)).slice(0, maxCount)
}
