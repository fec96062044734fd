import type { ApiContext } from './context.ts'

export interface ReadinessCheck {
  readonly name: string
  readonly ok: boolean
  /** One sentence; names nothing internal. */
  readonly detail: string
}

/** A store that has not answered by then is as good as gone to whoever asks for readiness. */
const answerMsMax = 2_000

export async function checkReadiness(context: ApiContext): Promise<ReadinessCheck[]> {
  const { log, readModel, projector, draining, anotherHistory } = context
  const [logOk, readModelOk] = await Promise.all([answers(log.head()), answers(readModel.pipelines())])
  const { phase, paused } = projector.status()
  const projects = phase === 'live' || phase === 'waiting' || phase === 'paused'
  return [
    {
      name: 'service',
      ok: !draining.aborted,
      detail: draining.aborted ? 'It is shutting down.' : 'It takes requests.',
    },
    {
      name: 'log',
      ok: logOk,
      detail: logOk ? 'It answers.' : anotherHistory?.aborted === true ? replaced : 'It does not answer.',
    },
    { name: 'read model', ok: readModelOk, detail: readModelOk ? 'It answers.' : 'It does not answer.' },
    // Ready all the same: an operator wanted it so, and every node would be taken out at once.
    { name: 'projector', ok: projects, detail: projectorDetails[paused && projects ? 'paused' : phase] },
  ]
}

const replaced =
  'The database holds another history than before: an operator decides whether to go on with it, by a restart.'

const projectorDetails = {
  starting: 'It is starting.',
  live: 'It follows the log.',
  waiting: 'Another node projects.',
  paused: 'An operator has paused the projection: what is read is as of then.',
  retrying: 'It tries again after a failure.',
  log_behind: 'The log ends before what is folded already: it lost events, or is an older copy.',
  stopped: 'It has stopped.',
  newer_schema: 'The log holds events of a newer schema than this version knows: upgrade it.',
} as const

async function answers(question: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), answerMsMax)
  })
  try {
    return (await Promise.race([question.then(() => true), late])) === true
  } catch {
    return false
  } finally {
    clearTimeout(timer)
  }
}
