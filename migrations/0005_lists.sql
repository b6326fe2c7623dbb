-- What lists are asked for: an author's deployments, the riskiest ones, and those in which a rule found something.

CREATE INDEX deployments_by_author ON deployments (author, received_at DESC, deployment_id DESC);
-- A risk that is not known comes behind all others.
CREATE INDEX deployments_riskiest_first ON deployments (coalesce(risk, -1) DESC, received_at DESC, deployment_id DESC);
CREATE INDEX findings_by_rule ON findings (rule_id, deployment_id);
