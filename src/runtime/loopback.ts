/** Whether the host of a URL or a Host header, without its port and in lower case, is this machine: nothing leaves it then. */
export function isLoopbackName(name: string): boolean {
  return name === '[::1]' || isLocalhost(name) || isLoopbackAddress(name)
}

/** RFC 6761: `localhost` and all names below it are this machine. */
function isLocalhost(name: string): boolean {
  const rooted = name.endsWith('.') ? name.slice(0, -1) : name
  return rooted === 'localhost' || rooted.endsWith('.localhost')
}

function isLoopbackAddress(name: string): boolean {
  const parts = name.split('.')
  return parts.length === 4 && parts[0] === '127' && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)
}

/**
 * Whether who listens on this host, a name or an address without brackets, is reached from this machine alone. Fewer than
 * `isLoopbackName`: what a name below `localhost` resolves to is up to the machine's resolver.
 */
export function listensOnLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || isLoopbackAddress(host)
}

/** Whether what is sent to this address can be read on its way: plain HTTP to another machine. */
export function isReadableOnItsWay({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && !isLoopbackName(hostname)
}
