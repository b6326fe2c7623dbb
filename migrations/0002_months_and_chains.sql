-- The append-only tables are divided by month, so that old months can go as a whole, and the events of each month become a
-- chain: every row holds the hash of the one before. deploy/audit.md says how the hash is made.
--
-- All that is known of a deployment lies in the month in which its first word came (UTC), however long after something comes.

-- What is written stays as it was written; nor is a table emptied.
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON policies FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The month of a deployment. A deployment that only an outcome or a review speaks of has no deadline: nobody awaits a verdict.
ALTER TABLE deployments ADD COLUMN month date, ALTER COLUMN deadline_at DROP NOT NULL;
INSERT INTO deployments (deployment_id, received_at, traceparent)
    SELECT DISTINCT ON (deployment_id) deployment_id, received_at, traceparent FROM events
    ORDER BY deployment_id, position
    ON CONFLICT DO NOTHING;
UPDATE deployments SET month = date_trunc('month', received_at AT TIME ZONE 'UTC');
ALTER TABLE deployments
    ALTER COLUMN month SET NOT NULL,
    ALTER COLUMN month SET DEFAULT date_trunc('month', now() AT TIME ZONE 'UTC')::date,
    ADD CHECK (extract(day FROM month) = 1),
    ADD UNIQUE (month, deployment_id),
    ADD CHECK (deadline_at IS NOT NULL OR verdict_number = 0),
    DROP CONSTRAINT deployments_accepted_event_id_fkey;

-- What stood against it when it was deployed all the same: see outcomes. That of the outcome that was filed last.
ALTER TABLE deployments ADD COLUMN against_verdict text CHECK (against_verdict IN ('BLOCK', 'REVIEW', 'none'));
CREATE INDEX deployments_against_verdict ON deployments (received_at DESC, deployment_id DESC) WHERE against_verdict IS NOT NULL;
CREATE INDEX deployments_by_repository ON deployments (repository, received_at DESC, deployment_id DESC);

ALTER TABLE signals ADD COLUMN month date;
UPDATE signals SET month = d.month FROM deployments d WHERE d.deployment_id = signals.deployment_id;
ALTER TABLE signals
    ALTER COLUMN month SET NOT NULL,
    DROP CONSTRAINT signals_event_id_fkey,
    DROP CONSTRAINT signals_deployment_id_fkey;

ALTER TABLE outbox ADD COLUMN month date;
UPDATE outbox SET month = d.month FROM events e JOIN deployments d USING (deployment_id) WHERE e.event_id = outbox.event_id;
ALTER TABLE outbox ALTER COLUMN month SET NOT NULL, DROP CONSTRAINT outbox_event_id_fkey;

-- The tables as they were, out of the way of the new ones' names.
ALTER TABLE events RENAME TO old_events;
ALTER TABLE findings RENAME TO old_findings;
ALTER TABLE verdicts RENAME TO old_verdicts;
ALTER TABLE explanations RENAME TO old_explanations;
ALTER TABLE reviews RENAME TO old_reviews;
ALTER TABLE outcomes RENAME TO old_outcomes;
DROP INDEX events_by_deployment, findings_by_deployment, explanations_by_deployment, reviews_by_deployment, outcomes_by_deployment;
ALTER INDEX events_pkey RENAME TO old_events_pkey;
ALTER INDEX findings_pkey RENAME TO old_findings_pkey;
ALTER INDEX verdicts_pkey RENAME TO old_verdicts_pkey;
ALTER INDEX explanations_pkey RENAME TO old_explanations_pkey;
ALTER INDEX reviews_pkey RENAME TO old_reviews_pkey;
ALTER INDEX outcomes_pkey RENAME TO old_outcomes_pkey;

-- Every message that reached the service, and every verdict that left it. Inbox and audit trail at once, so that the trail
-- cannot disagree with the state.
CREATE TABLE events (
    month date NOT NULL,
    -- Its place in the chain of its month, from 1.
    link bigint NOT NULL CHECK (link > 0),
    event_id uuid NOT NULL,
    deployment_id uuid NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    -- Null for the verdicts, which are written here before the stream has them.
    stream_sequence bigint CHECK (stream_sequence > 0),
    message_id text,
    traceparent text,
    received_at timestamptz NOT NULL,
    body bytea NOT NULL,
    -- The hash of the event before in the chain; of the first, zeros.
    previous bytea NOT NULL CHECK (octet_length(previous) = 32),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (month, event_id),
    UNIQUE (month, link),
    FOREIGN KEY (month, deployment_id) REFERENCES deployments (month, deployment_id)
) PARTITION BY LIST (month);
CREATE INDEX events_by_deployment ON events (deployment_id, link);

-- The findings of every static-analysis signal.
CREATE TABLE findings (
    month date NOT NULL,
    event_id uuid NOT NULL,
    ordinal integer NOT NULL CHECK (ordinal > 0),
    deployment_id uuid NOT NULL,
    rule_id text NOT NULL,
    category text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('info', 'low', 'medium', 'high', 'critical')),
    confidence text NOT NULL CHECK (confidence IN ('low', 'medium', 'high')),
    path text NOT NULL,
    line integer NOT NULL CHECK (line >= 0),
    message text NOT NULL,
    fingerprint text NOT NULL,
    PRIMARY KEY (month, event_id, ordinal),
    FOREIGN KEY (month, event_id) REFERENCES events
) PARTITION BY LIST (month);
CREATE INDEX findings_by_deployment ON findings (deployment_id);

-- Numbered per deployment, never edited.
CREATE TABLE verdicts (
    month date NOT NULL,
    deployment_id uuid NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    event_id uuid NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('ALLOW', 'REVIEW', 'BLOCK')),
    cause text NOT NULL CHECK (cause IN ('complete', 'deadline', 'late', 'review')),
    policy_digest text NOT NULL REFERENCES policies,
    -- The events that it rests on, sorted: with the policy they give the judgement again, byte for byte.
    inputs uuid[] NOT NULL,
    judgement bytea NOT NULL,
    missing text[] NOT NULL,
    reached_at timestamptz NOT NULL,
    PRIMARY KEY (month, deployment_id, number),
    UNIQUE (month, event_id),
    FOREIGN KEY (month, event_id) REFERENCES events,
    FOREIGN KEY (month, deployment_id) REFERENCES deployments (month, deployment_id)
) PARTITION BY LIST (month);

CREATE TABLE explanations (
    month date NOT NULL,
    event_id uuid NOT NULL,
    deployment_id uuid NOT NULL,
    verdict_number integer NOT NULL CHECK (verdict_number > 0),
    headline text NOT NULL,
    -- Null when no model wrote it.
    model text,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (month, event_id),
    FOREIGN KEY (month, event_id) REFERENCES events
) PARTITION BY LIST (month);
CREATE INDEX explanations_by_deployment ON explanations (deployment_id, verdict_number);

CREATE TABLE reviews (
    month date NOT NULL,
    event_id uuid NOT NULL,
    deployment_id uuid NOT NULL,
    verdict_number integer NOT NULL CHECK (verdict_number > 0),
    decision text NOT NULL CHECK (decision IN ('approved', 'rejected', 'emergency')),
    reviewer text NOT NULL CHECK (reviewer <> ''),
    why text NOT NULL CHECK (why <> ''),
    reviewed_at timestamptz NOT NULL,
    PRIMARY KEY (month, event_id),
    FOREIGN KEY (month, event_id) REFERENCES events
) PARTITION BY LIST (month);
CREATE INDEX reviews_by_deployment ON reviews (deployment_id);

CREATE TABLE outcomes (
    month date NOT NULL,
    event_id uuid NOT NULL,
    deployment_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('succeeded', 'failed', 'rolled_back')),
    detail text NOT NULL,
    reporter text NOT NULL CHECK (reporter <> ''),
    occurred_at timestamptz NOT NULL,
    -- What stood against the deployment when it happened: a verdict that did not allow it, or none at all. Null when it was
    -- allowed.
    against_verdict text CHECK (against_verdict IN ('BLOCK', 'REVIEW', 'none')),
    PRIMARY KEY (month, event_id),
    FOREIGN KEY (month, event_id) REFERENCES events
) PARTITION BY LIST (month);
CREATE INDEX outcomes_by_deployment ON outcomes (deployment_id);

-- The end of each month's chain. Its row is locked after those of the deployments, and before anything is written.
CREATE TABLE chains (
    month date PRIMARY KEY CHECK (extract(day FROM month) = 1),
    events bigint NOT NULL DEFAULT 0 CHECK (events >= 0),
    head bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(head) = 32)
);

-- The months that were dropped, with the signed statement of what was in them.
CREATE TABLE checkpoints (
    month date PRIMARY KEY CHECK (extract(day FROM month) = 1),
    events bigint NOT NULL CHECK (events >= 0),
    head bytea NOT NULL CHECK (octet_length(head) = 32),
    statement text NOT NULL,
    dropped_at timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON checkpoints FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON findings FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON findings FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON verdicts FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON verdicts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON explanations FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON explanations FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON reviews FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON reviews FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON outcomes FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON outcomes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The tables that are divided by month; each may refer to those before it. A migration that adds one replaces this function
-- and calls make_month for every row of chains.
CREATE FUNCTION monthly_tables() RETURNS text[] LANGUAGE sql IMMUTABLE AS
    $$ SELECT ARRAY['events', 'findings', 'verdicts', 'explanations', 'reviews', 'outcomes'] $$;

-- Makes what a month needs, once, however many call it at a time. It runs with the rights of the tables' owner, so that the
-- service can have months made without the right to change tables.
CREATE FUNCTION make_month(wanted date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    suffix text := to_char(wanted, '"_"YYYY_MM');
    name text;
BEGIN
    IF extract(day FROM wanted) <> 1 THEN
        RAISE EXCEPTION '% is not the first day of a month', wanted;
    END IF;
    IF EXISTS (SELECT FROM checkpoints WHERE month = wanted) THEN
        RAISE EXCEPTION 'the month % was dropped', wanted;
    END IF;
    IF EXISTS (SELECT FROM chains WHERE month = wanted)
        AND NOT EXISTS (SELECT FROM unnest(monthly_tables()) AS t WHERE to_regclass(t || suffix) IS NULL) THEN
        RETURN;
    END IF;
    -- Whoever writes locks this table first.
    LOCK TABLE deployments IN EXCLUSIVE MODE;
    FOREACH name IN ARRAY monthly_tables() LOOP
        CONTINUE WHEN to_regclass(name || suffix) IS NOT NULL;
        -- Attached, not made as a part: readers need not wait.
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', name || suffix, name);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES IN (%L)', name, name || suffix, wanted);
        EXECUTE format('CREATE TRIGGER never_emptied BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
            name || suffix);
    END LOOP;
    INSERT INTO chains (month) VALUES (wanted) ON CONFLICT DO NOTHING;
END
$$;

-- Drops all that is known of the deployments of a month. Only the tables' owner can; `failsafe audit drop` asks for a signed
-- checkpoint first.
CREATE FUNCTION drop_month(gone date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    suffix text := to_char(gone, '"_"YYYY_MM');
    name text;
BEGIN
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
BEGIN
    -- What is found by name lies in this schema, whoever calls.
    FOREACH function IN ARRAY ARRAY['make_month(date)', 'drop_month(date)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', function, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', function);
    END LOOP;
    PERFORM make_month(m) FROM (
        SELECT month FROM deployments
        UNION SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + n * interval '1 month')::date FROM generate_series(0, 1) AS n
    ) AS months (m);
END
$$;

-- The bytes of one field: its length in four bytes, then itself; nothing at all is the length 2^32 - 1.
CREATE FUNCTION pg_temp.field(value bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS
    $$ SELECT coalesce(int4send(octet_length(value)) || value, '\xffffffff') $$;

-- The events of each month in the order in which they came, chained.
DO $$
DECLARE
    event record;
    chain date;
    place bigint;
    before bytea;
    now_hash bytea;
BEGIN
    FOR event IN SELECT d.month, e.* FROM old_events e JOIN deployments d USING (deployment_id) ORDER BY d.month, e.position LOOP
        IF chain IS DISTINCT FROM event.month THEN
            UPDATE chains SET events = place, head = before WHERE month = chain;
            chain := event.month;
            place := 0;
            before := decode(repeat('00', 32), 'hex');
        END IF;
        place := place + 1;
        now_hash := sha256(
            convert_to(E'failsafe audit event 1\n', 'UTF8')
            || pg_temp.field(before)
            || pg_temp.field(convert_to(to_char(event.month, 'YYYY-MM'), 'UTF8'))
            || pg_temp.field(int8send(place))
            || pg_temp.field(uuid_send(event.event_id))
            || pg_temp.field(uuid_send(event.deployment_id))
            || pg_temp.field(convert_to(event.kind, 'UTF8'))
            || pg_temp.field(convert_to(event.subject, 'UTF8'))
            || pg_temp.field(int8send(event.stream_sequence))
            || pg_temp.field(convert_to(event.message_id, 'UTF8'))
            || pg_temp.field(convert_to(event.traceparent, 'UTF8'))
            || pg_temp.field(int8send((extract(epoch FROM event.received_at) * 1000000)::bigint))
            || pg_temp.field(event.body));
        INSERT INTO events (month, link, event_id, deployment_id, kind, subject, stream_sequence, message_id, traceparent,
                received_at, body, previous, hash)
            VALUES (event.month, place, event.event_id, event.deployment_id, event.kind, event.subject, event.stream_sequence,
                event.message_id, event.traceparent, event.received_at, event.body, before, now_hash);
        before := now_hash;
    END LOOP;
    UPDATE chains SET events = place, head = before WHERE month = chain;
END
$$;
DROP FUNCTION pg_temp.field(bytea);

INSERT INTO findings (month, event_id, ordinal, deployment_id, rule_id, category, severity, confidence, path, line, message,
        fingerprint)
    SELECT d.month, f.event_id, f.ordinal, f.deployment_id, f.rule_id, f.category, f.severity, f.confidence, f.path, f.line,
        f.message, f.fingerprint
    FROM old_findings f JOIN deployments d USING (deployment_id);
INSERT INTO verdicts (month, deployment_id, number, event_id, verdict, cause, policy_digest, inputs, judgement, missing, reached_at)
    SELECT d.month, v.deployment_id, v.number, v.event_id, v.verdict, v.cause, v.policy_digest, v.inputs, v.judgement,
        v.missing, v.reached_at
    FROM old_verdicts v JOIN deployments d USING (deployment_id);
INSERT INTO explanations (month, event_id, deployment_id, verdict_number, headline, model, written_at)
    SELECT d.month, x.event_id, x.deployment_id, x.verdict_number, x.headline, x.model, x.written_at
    FROM old_explanations x JOIN deployments d USING (deployment_id);
INSERT INTO reviews (month, event_id, deployment_id, verdict_number, decision, reviewer, why, reviewed_at)
    SELECT d.month, r.event_id, r.deployment_id, r.verdict_number, r.decision, r.reviewer, r.why, r.reviewed_at
    FROM old_reviews r JOIN deployments d USING (deployment_id);
INSERT INTO outcomes (month, event_id, deployment_id, kind, detail, reporter, occurred_at, against_verdict)
    SELECT d.month, o.event_id, o.deployment_id, o.kind, o.detail, o.reporter, o.occurred_at,
        CASE WHEN v.number IS NULL THEN 'none'
            WHEN v.verdict = 'ALLOW' THEN NULL
            WHEN v.verdict = 'REVIEW' AND EXISTS (SELECT FROM old_reviews r WHERE r.deployment_id = o.deployment_id
                AND r.verdict_number = v.number AND r.decision = 'approved' AND r.reviewed_at <= o.occurred_at) THEN NULL
            ELSE v.verdict END
    FROM old_outcomes o JOIN deployments d USING (deployment_id)
    LEFT JOIN LATERAL (SELECT number, verdict FROM old_verdicts
        WHERE old_verdicts.deployment_id = o.deployment_id AND reached_at <= o.occurred_at
        ORDER BY number DESC LIMIT 1) AS v ON true;
UPDATE deployments SET against_verdict = last.against_verdict FROM (
    SELECT DISTINCT ON (deployment_id) deployment_id, against_verdict FROM outcomes JOIN old_events e USING (event_id, deployment_id)
    WHERE against_verdict IS NOT NULL ORDER BY deployment_id, e.position DESC) AS last
    WHERE last.deployment_id = deployments.deployment_id;
DROP TABLE old_findings, old_verdicts, old_explanations, old_reviews, old_outcomes, old_events;

ALTER TABLE deployments ADD FOREIGN KEY (month, accepted_event_id) REFERENCES events;
ALTER TABLE signals
    ADD FOREIGN KEY (month, event_id) REFERENCES events,
    ADD FOREIGN KEY (month, deployment_id) REFERENCES deployments (month, deployment_id);
ALTER TABLE outbox ADD FOREIGN KEY (month, event_id) REFERENCES events;
