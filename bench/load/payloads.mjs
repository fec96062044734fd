// Report bodies of about 1 kB, cut from real webhook payloads: who did what to which repository. Every body has the same
// members, so that an operation's data keeps its size however many reports are merged into it.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

const repositoryMembers = [
  ...['id', 'node_id', 'name', 'full_name', 'private', 'html_url', 'description', 'fork', 'url', 'created_at'],
  ...['updated_at', 'pushed_at', 'size', 'default_branch', 'clone_url', 'ssh_url', 'issues_url', 'commits_url'],
]
const senderMembers = ['login', 'id', 'node_id', 'avatar_url', 'url', 'html_url', 'type', 'site_admin']

export async function reportBodies() {
  const file = require.resolve('@octokit/webhooks-examples/api.github.com/index.json')
  const kinds = JSON.parse(await readFile(file, 'utf8'))
  const bodies = []
  for (const { name, examples } of kinds) {
    for (const { action, repository, sender } of examples) {
      if (repository === undefined || sender === undefined) continue
      const document = {
        event: name,
        action: action ?? 'none',
        repository: pick(repository, repositoryMembers),
        sender: pick(sender, senderMembers),
      }
      const status = `status ${bodies.length % 7}`
      bodies.push(JSON.stringify({ service: 'intake', status, data: { document } }))
    }
  }
  return bodies
}

/** As many that say nothing but a status, each another: hardly an operation gets the same one twice in a row. */
export function smallBodies(bodies) {
  return bodies.map((_, index) => JSON.stringify({ service: 'intake', status: `status ${index}` }))
}

/**
 * What services send on the average: of three reports one says only where it stands, one who did it, and one carries the
 * document. Some 550 bytes in the median of the three.
 */
export async function mixedBodies() {
  return (await reportBodies()).map((text, index) => {
    const { service, status, data } = JSON.parse(text)
    const { event, action, repository, sender } = data.document
    const { id, full_name, html_url } = repository
    const small = { document: { event, action, repository: { id, full_name, html_url } } }
    return JSON.stringify({
      service,
      status,
      data: [data, small, { document: { ...small.document, sender } }][index % 3],
    })
  })
}

function pick(source, members) {
  return Object.fromEntries(members.map((member) => [member, source[member] ?? '']))
}
