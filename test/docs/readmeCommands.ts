export interface ReadmeCommand {
  /** As a shell would split it. */
  readonly words: readonly string[]
  /** The JSON block that follows the command; null when there is none. */
  readonly answer: unknown
}

/** Every command of every `sh` block of a Markdown text, each with the answer shown below it. */
export function readmeCommands(markdown: string): readonly ReadmeCommand[] {
  const blocks = [...markdown.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
  return blocks.flatMap(([, language, text = ''], index) => {
    if (language !== 'sh') return []
    const [, nextLanguage, nextText = ''] = blocks[index + 1] ?? []
    const commands = text
      .replaceAll('\\\n', ' ')
      .split(/\n|&&/)
      .map((line) => line.trim())
      .filter((line) => line !== '')
    return commands.map((line, place) => ({
      words: shellWords(line),
      answer: nextLanguage === 'json' && place === commands.length - 1 ? JSON.parse(nextText) : null,
    }))
  })
}

/** Words separated by spaces; single quotes keep what they hold together. README uses no other quoting. */
export function shellWords(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|([^\s']+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '')
}

/** What curl would send, for the options README uses; anything else throws. */
export function curlRequest(words: readonly string[], baseUrl: string): Request {
  const headers = new Headers()
  let method: string | null = null
  let body: string | null = null
  let url: URL | null = null
  for (let index = 1; index < words.length; index += 1) {
    const word = words[index] ?? ''
    if (!word.startsWith('-')) {
      url = new URL(word)
      continue
    }
    index += 1
    const value = words[index] ?? ''
    if (word === '-X') method = value
    else if (word === '-d') body = value
    else if (word === '-H')
      headers.append(value.slice(0, value.indexOf(':')), value.slice(value.indexOf(':') + 1).trim())
    else throw new Error(`curl ${word} is not known here`)
  }
  if (url === null) throw new Error('curl without a URL')
  const to = new URL(url.pathname + url.search, baseUrl)
  return new Request(to, { headers, method: method ?? (body === null ? 'GET' : 'POST'), body })
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Takes out what differs from run to run: times, positions and generated keys. */
export function withoutRunDetails(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (member, inner) => {
    if (member === 'position') return '<position>'
    if (['since', 'heardAt', 'openedAt', 'updatedAt', 'definedAt', 'recordedAt'].includes(member) && inner !== null)
      return '<time>'
    return typeof inner === 'string' && uuid.test(inner) ? '<uuid>' : inner
  })
}
