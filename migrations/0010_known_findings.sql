-- The findings that a deployment brought to production, where it succeeded and nothing else is told of it. A deployment with findings asks whether
-- its repository has them already; without this table PostgreSQL went through all that was ever found with the same fingerprint: 3,000
-- rows for each finding once there were 700,000 deployments, a third of its work by then.
--
-- Triggers keep it: an older version of the service, which does not know of it, cannot leave anything out.

CREATE TABLE known_findings (
    repository text NOT NULL,
    fingerprint text NOT NULL,
    deployment_id uuid NOT NULL,
    month date NOT NULL,
    PRIMARY KEY (repository, fingerprint, deployment_id)
);
CREATE INDEX known_findings_by_deployment ON known_findings (deployment_id);

-- What the trail says of deployments that have an outcome.
CREATE FUNCTION brought_to_production(of uuid[]) RETURNS SETOF known_findings LANGUAGE sql STABLE AS $$
    SELECT DISTINCT d.repository, f.fingerprint, d.deployment_id, d.month
    FROM deployments d JOIN findings f ON f.month = d.month AND f.deployment_id = d.deployment_id
    WHERE d.deployment_id = ANY(of) AND d.repository IS NOT NULL
        AND (SELECT bool_and(o.kind = 'succeeded') FROM outcomes o WHERE o.month = d.month AND o.deployment_id = d.deployment_id)
$$;

-- Called with what was just written of some deployments, whose rows the writer holds.
CREATE FUNCTION keep_known_findings(of uuid[]) RETURNS void LANGUAGE sql AS $$
    DELETE FROM known_findings WHERE deployment_id = ANY(of);
    INSERT INTO known_findings SELECT * FROM brought_to_production(of);
$$;

CREATE FUNCTION keep_known_findings_of_added() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    with_outcome uuid[] := ARRAY(SELECT DISTINCT deployment_id FROM added
        WHERE (SELECT true FROM outcomes o WHERE o.month = added.month AND o.deployment_id = added.deployment_id LIMIT 1));
BEGIN
    IF with_outcome <> '{}' THEN
        PERFORM keep_known_findings(with_outcome);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_known_findings AFTER INSERT ON outcomes
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION keep_known_findings_of_added();
CREATE TRIGGER keep_known_findings AFTER INSERT ON findings
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION keep_known_findings_of_added();

-- An acceptance that comes after the deployment's other words says whose findings they are.
CREATE FUNCTION keep_known_findings_of_accepted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM keep_known_findings(ARRAY[NEW.deployment_id]);
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_known_findings AFTER UPDATE OF repository ON deployments FOR EACH ROW
    WHEN (OLD.repository IS NULL AND NEW.repository IS NOT NULL) EXECUTE FUNCTION keep_known_findings_of_accepted();

-- As before, and with that.
CREATE OR REPLACE FUNCTION drop_month(gone date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    suffix text := to_char(gone, '"_"YYYY_MM');
    name text;
BEGIN
    DELETE FROM known_findings WHERE month = gone;
    DELETE FROM outbox WHERE month = gone;
    DELETE FROM signals WHERE month = gone;
    UPDATE deployments SET accepted_event_id = NULL, accepted_at = NULL, repository = NULL, pull_request = NULL,
        revision = NULL, title = NULL, author = NULL, environment = NULL, facts = NULL WHERE month = gone;
    FOR name IN SELECT t FROM unnest(monthly_tables()) WITH ORDINALITY AS listed (t, place) ORDER BY place DESC LOOP
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', name, name || suffix);
        EXECUTE format('DROP TABLE %I', name || suffix);
    END LOOP;
    DELETE FROM deployments WHERE month = gone;
    DELETE FROM chains WHERE month = gone;
END
$$;

DO $$
DECLARE
    function text;
    service text;
BEGIN
    -- What is found by name lies in this schema, whoever calls.
    FOREACH function IN ARRAY ARRAY['drop_month(date)', 'brought_to_production(uuid[])', 'keep_known_findings(uuid[])',
        'keep_known_findings_of_added()', 'keep_known_findings_of_accepted()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', function, current_schema());
    END LOOP;
    -- Whoever reads findings reads these.
    FOR service IN SELECT rolname FROM pg_class, aclexplode(relacl) AS may JOIN pg_roles ON pg_roles.oid = may.grantee
        WHERE pg_class.oid = 'findings'::regclass AND may.privilege_type = 'SELECT' AND may.grantee <> relowner LOOP
        EXECUTE format('GRANT SELECT ON known_findings TO %I', service);
    END LOOP;
END
$$;

-- Nothing is written between what is noted now and the triggers.
LOCK TABLE deployments IN EXCLUSIVE MODE;
INSERT INTO known_findings SELECT * FROM brought_to_production(ARRAY(SELECT DISTINCT deployment_id FROM outcomes));
