import type { Act, Actor } from './act.ts'
import type { AuditTrail, KeysOnRecord } from './auditTrail.ts'

interface Changed {
  readonly id: string
  readonly name: string
  readonly roles?: readonly string[]
  readonly services?: readonly string[]
  readonly pipelines?: readonly string[]
}

interface From {
  readonly address: string | null
  readonly request?: string
  readonly traceparent?: string
}

/** What the keys' own module asks of the audit trail: a `KeyTrail`. */
export function keyTrailOf(trail: Pick<AuditTrail, 'record' | 'keys'>) {
  const record = (action: Act['action'], key: Changed, by: Pick<Actor, 'name' | 'keyId'>, from: From) => {
    const { address, ...request } = from
    const { id, name, roles, services, pipelines } = key
    return trail.record({
      action,
      target: name,
      key: id,
      ...(roles === undefined ? {} : { roles }),
      ...(services === undefined ? {} : { services }),
      ...(pipelines === undefined ? {} : { pipelines }),
      by: { name: by.name, keyId: by.keyId, address },
      ...request,
    })
  }
  return {
    created: (key: Changed, by: Pick<Actor, 'name' | 'keyId'>, from: From): Promise<void> =>
      record('keys.create', key, by, from),
    revoked: (key: Changed, by: Pick<Actor, 'name' | 'keyId'>, from: From): Promise<void> =>
      record('keys.revoke', { id: key.id, name: key.name }, by, from),
    found: (): Promise<void> =>
      trail.record({ action: 'keys.found', target: 'keys', by: { name: 'waybill', keyId: null, address: null } }),
    learn: (): Promise<KeysOnRecord> => trail.keys(),
  }
}
