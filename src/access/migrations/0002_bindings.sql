-- Keys that may report for some services, and into some pipelines, alone; and a role of its own for defining pipelines.

ALTER TABLE waybill_access.keys
  -- Null: all of them.
  ADD COLUMN services text[] COLLATE "C",
  ADD COLUMN pipelines text[] COLLATE "C",
  -- False: made when the role service let define pipelines too, or by a node that runs the code of then. The key keeps that.
  ADD COLUMN definer_stated boolean NOT NULL DEFAULT false,
  DROP CONSTRAINT keys_roles_known,
  -- A key that is bound has the role bound_service in place of service: nodes that run older code, and would not look at what
  -- it is bound to, know no such role and let it do nothing.
  ADD CONSTRAINT keys_roles_known CHECK (
    cardinality(roles) > 0
    AND roles <@ ARRAY['service', 'bound_service', 'definer', 'viewer', 'auditor', 'operator']
  ),
  ADD CONSTRAINT keys_services_counted CHECK (cardinality(services) BETWEEN 1 AND 16),
  ADD CONSTRAINT keys_pipelines_counted CHECK (cardinality(pipelines) BETWEEN 1 AND 16),
  ADD CONSTRAINT keys_bound_apart CHECK (
    CASE
      WHEN services IS NULL AND pipelines IS NULL THEN NOT 'bound_service' = ANY (roles)
      ELSE definer_stated AND NOT roles && ARRAY['service', 'operator']
    END
  );
