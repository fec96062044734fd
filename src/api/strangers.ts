import type { IncomingHttpHeaders } from 'node:http'
import { isLoopbackName } from '../runtime/loopback.ts'

/** What proxies add for others' requests, as `X-Forwarded-For` and its kin: a program on this machine has no reason to. */
const forwardingHeaders = new Set(['forwarded', 'via', 'x-real-ip'])

const isForwarding = (name: string) => forwardingHeaders.has(name) || name.startsWith('x-forwarded-')

/**
 * On this machine alone, a page of the same site was served by another program of the machine, on another port: who can
 * start one needs no page. Elsewhere it may be anybody's who has a name under the same domain.
 */
const elsewhere = ['cross-site']
const elsewhereOrNear = ['cross-site', 'same-site']

const makeKey = 'Make an access key, and send it (docs/access.md): with a key this does not matter.'

/**
 * Null, or why a request without a key is not from a program on this machine, as far as its headers say. Without keys the
 * listener's address decides who is an operator, and two kinds of strangers reach a loopback address all the same:
 *
 * - pages of other sites, through the browser of somebody who sits at the machine. The browser names the site (`Origin`,
 *   `Sec-Fetch-Site`; Fetch Metadata), or, when the site's name was made to resolve to this address (DNS rebinding), the
 *   site's name is the `Host`;
 * - everybody, through a proxy on the machine. A proxy says so in its headers, or passes on another `Host`.
 *
 * `loopbackOnly`: the service listens on this machine only. Where everybody was let in on purpose, any `Host` is right.
 */
export function strangerFault(headers: IncomingHttpHeaders, loopbackOnly: boolean): string | null {
  const { host, origin } = headers
  if (loopbackOnly) {
    if (!isLoopbackHost(host ?? '')) {
      return `The service has no access keys, and so answers only requests to a name of this machine, as localhost; the Host header is another one. ${makeKey}`
    }
    for (const name in headers) {
      if (!isForwarding(name)) continue
      return `The service has no access keys, and so answers no requests that a proxy passes on; this one has the header ${name}. ${makeKey}`
    }
  }
  const site = String(headers['sec-fetch-site'])
  for (const foreign of loopbackOnly ? elsewhere : elsewhereOrNear) {
    if (!site.includes(foreign)) continue
    return `The service has no access keys, and so answers no pages of other sites; the Sec-Fetch-Site header says ${foreign}. ${makeKey}`
  }
  if (origin !== undefined && !isOwnOrigin(origin, host ?? '', loopbackOnly)) {
    return `The service has no access keys, and so answers no pages of other sites; the Origin header names one. ${makeKey}`
  }
  return null
}

/** `Host` of a request by HTTP/1.0 may be missing, and is no name of this machine then. */
function isLoopbackHost(host: string): boolean {
  const name = hostName(host)
  return name !== null && isLoopbackName(name)
}

/** The page's own server may be another on this machine: who can start one needs no page. */
function isOwnOrigin(origin: string, host: string, loopbackOnly: boolean): boolean {
  const separator = origin.indexOf('://')
  const scheme = origin.slice(0, Math.max(0, separator))
  if (scheme !== 'http' && scheme !== 'https') return false
  const from = origin.slice(separator + 3).toLowerCase()
  return from === host.toLowerCase() || (loopbackOnly && isLoopbackHost(from))
}

/** Without the port; null when it is not of the form. */
function hostName(host: string): string | null {
  const end = host.startsWith('[') ? host.indexOf(']') + 1 : host.indexOf(':')
  const name = end > 0 ? host.slice(0, end) : host
  const port = host.slice(name.length)
  if (port !== '' && !/^:\d{1,5}$/.test(port)) return null
  return name.toLowerCase()
}
