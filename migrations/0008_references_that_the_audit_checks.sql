-- A row and what it refers to are written by one transaction, which holds the deployment's row; nobody can delete an event. PostgreSQL
-- looked up each of some fifteen references for each deployment all the same, and wrote a lock into the row that it found: a quarter of
-- its work or more. `failsafe audit verify` holds them together instead. What is written seldom (reviews, outcomes, policies) keeps its references.

-- What is published leaves the outbox from now on.
DELETE FROM outbox WHERE published_at IS NOT NULL;
DO $$
DECLARE
    service text;
BEGIN
    FOR service IN SELECT rolname FROM pg_class, aclexplode(relacl) AS may JOIN pg_roles ON pg_roles.oid = may.grantee
        WHERE pg_class.oid = 'outbox'::regclass AND may.privilege_type = 'UPDATE' AND may.grantee <> relowner LOOP
        EXECUTE format('GRANT DELETE ON outbox TO %I', service);
    END LOOP;
END
$$;

-- In the order in which writers and the relay take them, so that none of them waits for this while this waits for it.
LOCK TABLE deployments, outbox, events, findings, signals, verdicts, explanations IN ACCESS EXCLUSIVE MODE;
ALTER TABLE deployments DROP CONSTRAINT deployments_month_accepted_event_id_fkey;
ALTER TABLE outbox DROP CONSTRAINT outbox_month_event_id_fkey;
ALTER TABLE events DROP CONSTRAINT events_month_deployment_id_fkey;
ALTER TABLE findings DROP CONSTRAINT findings_month_event_id_fkey;
ALTER TABLE signals DROP CONSTRAINT signals_month_event_id_fkey, DROP CONSTRAINT signals_month_deployment_id_fkey;
ALTER TABLE verdicts DROP CONSTRAINT verdicts_month_event_id_fkey, DROP CONSTRAINT verdicts_month_deployment_id_fkey;
ALTER TABLE explanations DROP CONSTRAINT explanations_month_event_id_fkey;

-- They were there to be referred to: a deployment's id and a verdict's number tell rows apart.
ALTER TABLE deployments DROP CONSTRAINT deployments_deployment_id_month_key;
ALTER TABLE verdicts DROP CONSTRAINT verdicts_event_id_month_key;
