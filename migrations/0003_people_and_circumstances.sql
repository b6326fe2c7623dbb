-- What people decide makes verdicts, too; and what a verdict knew around its deployment can be looked up.

-- Identifies the evidence: an approval counts for it and for the policy. Empty in verdicts of earlier versions, for which none counts.
ALTER TABLE verdicts ADD COLUMN evidence_digest text NOT NULL DEFAULT '';
-- What a person decided instead of the policy; null when the policy's own verdict stands.
ALTER TABLE verdicts ADD COLUMN overruled_by text CHECK (overruled_by IN ('approved', 'rejected', 'emergency'));
-- Until when somebody else has to have looked at an emergency.
ALTER TABLE verdicts ADD COLUMN review_due_at timestamptz;

ALTER TABLE deployments ADD COLUMN overruled_by text CHECK (overruled_by IN ('approved', 'rejected', 'emergency'));
ALTER TABLE deployments ADD COLUMN review_due_at timestamptz;
-- What the deployment does to the lines of its files, and what would undo it: a later one that does the latter takes it back.
ALTER TABLE deployments ADD COLUMN lines_done text;
ALTER TABLE deployments ADD COLUMN lines_undone text;
CREATE INDEX deployments_by_what_undoes_them ON deployments (repository, lines_undone) WHERE lines_undone IS NOT NULL;
CREATE INDEX deployments_overruled ON deployments (received_at DESC, deployment_id DESC) WHERE overruled_by IS NOT NULL;
CREATE INDEX deployments_owing_a_review ON deployments (received_at DESC, deployment_id DESC) WHERE review_due_at IS NOT NULL;
CREATE INDEX findings_by_fingerprint ON findings (fingerprint);

-- What a candidate policy says in the shadow of the one that decides: stored to be compared, never acted on.
CREATE TABLE shadow_verdicts (
    month date NOT NULL,
    deployment_id uuid NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    policy_digest text NOT NULL REFERENCES policies,
    verdict text NOT NULL CHECK (verdict IN ('ALLOW', 'REVIEW', 'BLOCK')),
    judgement bytea NOT NULL,
    reached_at timestamptz NOT NULL,
    PRIMARY KEY (month, deployment_id, number, policy_digest)
) PARTITION BY LIST (month);
CREATE INDEX shadow_verdicts_by_time ON shadow_verdicts (reached_at);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON shadow_verdicts FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON shadow_verdicts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE OR REPLACE FUNCTION monthly_tables() RETURNS text[] LANGUAGE sql IMMUTABLE AS
    $$ SELECT ARRAY['events', 'findings', 'verdicts', 'explanations', 'reviews', 'outcomes', 'shadow_verdicts'] $$;
SELECT make_month(month) FROM chains;
