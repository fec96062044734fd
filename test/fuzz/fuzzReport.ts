import type { Finding } from './judge.ts'
import type { FuzzRequest } from './wire.ts'

export interface FuzzOptions {
  readonly port: number
  /** Null: the service has no key yet. */
  readonly operatorKey: string | null
  readonly seed: number
  /** Null: until the time is up. */
  readonly requests: number | null
  readonly seconds: number | null
  /** The first request; default 0. */
  readonly from?: number
  /** Requests between two looks at the log and at what must not change. */
  readonly roundRequests?: number
  /** Different faults to be shrunk; after so many the run ends. */
  readonly faultsMax?: number
  /** For each fault. Default 10,000. */
  readonly shrinkMsMax?: number
  /** The same in simpler requests that are tried, which comes out the same on each machine. Default: any number. */
  readonly shrinkTriesMax?: number
  /** What is not answered for so long will not be; default 15,000. */
  readonly silenceMs?: number
  /** What takes longer, each time that it is sent alone, is a fault. */
  readonly requestMsMax: number
  /** The longest wait that a request can ask the service for. */
  readonly waitMsMax: number
  /** Milliseconds of a clock that does not jump; default: the machine's. Only `requestMsMax` goes by it. */
  readonly now?: () => number
  readonly progress?: (line: string) => void
}

export interface FoundFault extends Finding {
  /** Number of the request among all that the seed makes. */
  readonly request: number
  /** As few and as simple as could be found. */
  readonly shrunk: FuzzRequest
  /** To be sent by hand. */
  readonly command: string
  readonly shrinks: number
}

export interface FuzzReport {
  readonly seed: number
  readonly requests: number
  readonly seconds: number
  /** Answers by status; `none`: connections closed without one. */
  readonly statuses: Readonly<Record<string, number>>
  readonly operations: number
  /** Events appended meanwhile, each of which its sender was told of. */
  readonly events: number
  /** 503s that came once, and not again for the same request. */
  readonly fleeting: number
  readonly faults: readonly FoundFault[]
}
