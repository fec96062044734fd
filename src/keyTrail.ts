import type { Caller, ChangeOrigin, KeyRecord, KeyTrail } from './access/access.ts'
import type { Act } from './audit/act.ts'
import type { AuditTrail } from './audit/auditTrail.ts'

type ChangedKey = Pick<KeyRecord, 'id' | 'name'> & Partial<KeyRecord>

/** Joins the keys to the audit trail: neither of the two modules knows of the other. */
export function keyTrailOf(trail: Pick<AuditTrail, 'record' | 'keys'>): KeyTrail {
  const record = (action: Act['action'], key: ChangedKey, by: Caller, from: ChangeOrigin) => {
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
    created: (key, by, from) => record('keys.create', key, by, from),
    revoked: ({ id, name }, by, from) => record('keys.revoke', { id, name }, by, from),
    found: () =>
      trail.record({ action: 'keys.found', target: 'keys', by: { name: 'waybill', keyId: null, address: null } }),
    learn: () => trail.keys(),
  }
}
