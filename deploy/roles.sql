-- Two roles for the audit trail: the one that owns the tables, and `failsafe_service`, as which the decision service runs. The
-- service can add to the trail, and can neither change nor take away what is in it.
--
-- 1. As the owner of the database: failsafe audit migrate --database-url postgres://OWNER@HOST/failsafe
-- 2. As a superuser, or as the owner if it may create roles: psql --dbname failsafe --file deploy/roles.sql
-- 3. ALTER ROLE failsafe_service PASSWORD '…', and in the settings of the decision service:
--      [database]
--      url = "postgres://failsafe_service:…@HOST/failsafe"
--      migrate = false
--
-- After an update of FailSafe: 1 and 2 again, before the services start. It can be run any number of times.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'failsafe_service') THEN
        CREATE ROLE failsafe_service LOGIN;
    END IF;
END
$$;

-- Whether the tables are those that this version of the service expects.
GRANT SELECT ON _sqlx_migrations TO failsafe_service;

-- The trail: it can be read and added to. The parts for each month are reached through these alone.
GRANT SELECT, INSERT ON events, findings, policies, verdicts, shadow_verdicts, explanations, reviews, outcomes TO failsafe_service;

-- The state that is derived from it, and the ends of the chains.
GRANT SELECT, INSERT, UPDATE ON deployments, signals TO failsafe_service;
-- What is published leaves the outbox; to lock a row in it asks for the right to update, and a replica of an older version does.
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO failsafe_service;
GRANT SELECT, UPDATE ON chains TO failsafe_service;
-- Triggers write it, with the owner's rights.
GRANT SELECT ON known_findings TO failsafe_service;
GRANT SELECT ON checkpoints TO failsafe_service;

-- The part for the next month is made by a function that runs with the owner's rights.
GRANT EXECUTE ON FUNCTION make_month(date) TO failsafe_service;
