/**
 * Version of the whole catalogue of events: raised whenever a type is added, its data changes or the fold takes it otherwise,
 * with an upcaster for each type whose data changed and recorded samples in test/operation/samples. One number for all types,
 * so that an event of a type this node does not know is told apart: of a newer catalogue (wait for the upgrade), or none at
 * all (set aside).
 *
 * - 1: the first.
 * - 2: `EventSkipped` and `StreamRetried`.
 * - 3: marks, deleted paths, dead statuses and `OperationDescribed`: the fold takes events of operations by other rules.
 */
export const schemaVersion = 3

/** From this version on events of operations are folded by the rules of docs/adr/0014-marks-and-dead-statuses.md. */
export const markRulesVersion = 3

/** What the events of projections say of themselves: nodes of that version read on while newer ones are brought in. */
export const projectionEventsVersion = 2
