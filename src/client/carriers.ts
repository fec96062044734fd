import { exchange, isObject, isProblem, isReceipt, parseJson, refusalOf } from './answers.ts'
import type { CommandLine } from './commandLine.ts'
import type { Receipt } from './contract.ts'
import type { Failure, Outcome } from './errors.ts'
import { type OpenAnswer, type Transport, unanswered } from './transport.ts'

/**
 * Sends a batch of commands once. Results are given out as they come, each once, in the order of the batch. Resolves
 * with null when every command got one, otherwise with why the rest did not.
 */
export type Carrier = (
  batch: readonly CommandLine[],
  onResult: (index: number, result: Outcome<Receipt>) => void,
) => Promise<Failure | null>

/** All in one request, a line each. */
export function bulkCarrier(transport: Transport, timeoutMs: number): Carrier {
  return async (batch, onResult) => {
    let body = ''
    for (const { line } of batch) body += line
    const opened = await transport.open({
      method: 'POST',
      path: '/v1/commands',
      headers: { 'content-type': 'application/x-ndjson', accept: 'application/x-ndjson, application/problem+json' },
      body,
      timeoutMs,
      timeoutPerChunk: true,
    })
    if (opened.kind !== 'answer') return opened
    if (opened.value.status !== 200) return refusalOf(opened.value)
    return readResults(opened.value, batch, onResult)
  }
}

/** A result larger than this is no result. The largest that is one lists the events of a 412. */
const lineCharactersMax = 4 * 1024 * 1024

async function readResults(
  answer: OpenAnswer,
  batch: readonly CommandLine[],
  onResult: Parameters<Carrier>[1],
): Promise<Failure | null> {
  const decoder = new TextDecoder()
  let rest = ''
  let count = 0
  for (;;) {
    const chunk = await answer.next()
    if (chunk.kind !== 'answer') return count === batch.length ? null : chunk
    if (chunk.value === null) break
    const lines = (rest + decoder.decode(chunk.value, { stream: true })).split('\n')
    // Only what a newline ends is a line: half a result is none.
    rest = lines.pop() ?? ''
    for (const text of lines) {
      const command = batch[count]
      const result = command === undefined ? null : resultOf(text, command)
      if (result === null) {
        answer.close()
        return count === batch.length ? null : unanswered(`result ${count + 1} is not one of Waybill's`)
      }
      onResult(count, result)
      count += 1
    }
    if (rest.length > lineCharactersMax) {
      answer.close()
      return count === batch.length ? null : unanswered('a result does not end')
    }
  }
  return count === batch.length ? null : unanswered(`the answer ended after ${count} of ${batch.length} results`)
}

/** Null: not a result of this command. */
function resultOf(text: string, command: CommandLine): Outcome<Receipt> | null {
  const value = parseJson(text)
  if (!isObject(value)) return null
  if (value.command !== undefined && value.command !== command.key) return null
  if (isProblem(value.problem)) return { kind: 'problem', problem: value.problem, retryAfterMs: null }
  const { httpStatus, ...receipt } = value
  if (httpStatus !== 200 && httpStatus !== 201) return null
  return isReceipt(receipt) && isOf(receipt, command) ? { kind: 'answer', value: receipt } : null
}

/** Each in a request of its own; the batch must be of one. */
export function singleCarrier(transport: Transport, timeoutMs: number): Carrier {
  return async (batch, onResult) => {
    const [command] = batch
    if (command === undefined) return null
    const { type, operation = '', key, expectedRevision, body } = command
    const path = type === 'OpenOperation' ? '/v1/operations' : `/v1/operations/${encodeURIComponent(operation)}/reports`
    const answer = await exchange(
      transport,
      {
        method: 'POST',
        path,
        headers: {
          'content-type': 'application/json',
          'idempotency-key': key,
          ...(expectedRevision === undefined ? {} : { 'if-match': `"${expectedRevision}"` }),
        },
        body,
        timeoutMs,
      },
      (value): value is Receipt => isReceipt(value) && isOf(value, command),
    )
    if (answer.kind === 'unanswered') return answer
    onResult(0, answer.kind === 'answer' ? { kind: 'answer', value: answer.value.body } : answer)
    return null
  }
}

function isOf(receipt: Receipt, { operation, key }: CommandLine): boolean {
  return receipt.command === key && (operation === undefined || receipt.operation === operation)
}
