-- The audit trail of the decision service. Forward only: a later migration changes what an earlier one made.

-- Every message that reached the service, and every verdict that left it. Inbox and audit trail at once, so that the trail
-- cannot disagree with the state.
CREATE TABLE events (
    event_id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    deployment_id uuid NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    -- Null for the verdicts, which are written here before the stream has them.
    stream_sequence bigint CHECK (stream_sequence > 0),
    message_id text,
    traceparent text,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_by_deployment ON events (deployment_id, position);

-- The state of each deployment, derived from its events. The row is the lock of the join.
CREATE TABLE deployments (
    deployment_id uuid PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    deadline_at timestamptz NOT NULL,
    traceparent text,
    -- Null until the acceptance is here, all together.
    accepted_event_id uuid REFERENCES events,
    accepted_at timestamptz,
    repository text,
    pull_request integer CHECK (pull_request > 0),
    revision text,
    title text,
    author text,
    environment text,
    -- The accepted deployment without its diff, as protobuf.
    facts bytea,
    risk double precision CHECK (risk BETWEEN 0 AND 1),
    verdict text CHECK (verdict IN ('ALLOW', 'REVIEW', 'BLOCK')),
    verdict_number integer NOT NULL DEFAULT 0 CHECK (verdict_number >= 0),
    CHECK ((verdict IS NULL) = (verdict_number = 0)),
    CHECK (num_nonnulls(accepted_event_id, accepted_at, repository, pull_request, revision, title, author, environment, facts)
        IN (0, 9))
);
CREATE INDEX deployments_newest_first ON deployments (received_at DESC, deployment_id DESC);
CREATE INDEX deployments_by_pull_request ON deployments (repository, pull_request, accepted_at DESC);
CREATE INDEX deployments_by_verdict ON deployments (verdict, received_at DESC, deployment_id DESC);
CREATE INDEX deployments_awaiting ON deployments (deadline_at) WHERE verdict_number = 0;

-- The signal that counts of each source.
CREATE TABLE signals (
    deployment_id uuid NOT NULL REFERENCES deployments,
    source text NOT NULL CHECK (source IN ('static-analysis', 'ml-scoring')),
    event_id uuid NOT NULL REFERENCES events,
    available boolean NOT NULL,
    basis text NOT NULL,
    producer text NOT NULL,
    raised_at timestamptz NOT NULL,
    took_us bigint NOT NULL CHECK (took_us >= 0),
    PRIMARY KEY (deployment_id, source)
);

-- The findings of every static-analysis signal.
CREATE TABLE findings (
    event_id uuid NOT NULL REFERENCES events,
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
    PRIMARY KEY (event_id, ordinal)
);
CREATE INDEX findings_by_deployment ON findings (deployment_id);

-- Every policy that ever decided, so that its verdicts can be reached again.
CREATE TABLE policies (
    digest text PRIMARY KEY CHECK (length(digest) = 64),
    version text NOT NULL,
    body text NOT NULL,
    first_used_at timestamptz NOT NULL DEFAULT now()
);

-- Numbered per deployment, never edited.
CREATE TABLE verdicts (
    deployment_id uuid NOT NULL REFERENCES deployments,
    number integer NOT NULL CHECK (number > 0),
    event_id uuid NOT NULL UNIQUE REFERENCES events,
    verdict text NOT NULL CHECK (verdict IN ('ALLOW', 'REVIEW', 'BLOCK')),
    cause text NOT NULL CHECK (cause IN ('complete', 'deadline', 'late')),
    policy_digest text NOT NULL REFERENCES policies,
    -- The events that it rests on, sorted: with the policy they give the judgement again, byte for byte.
    inputs uuid[] NOT NULL,
    judgement bytea NOT NULL,
    missing text[] NOT NULL,
    reached_at timestamptz NOT NULL,
    PRIMARY KEY (deployment_id, number)
);

-- Verdicts on their way to the stream. A verdict that the deadline brings about has no message that could be delivered again,
-- so every verdict goes through here.
CREATE TABLE outbox (
    event_id uuid PRIMARY KEY REFERENCES events,
    position bigint GENERATED ALWAYS AS IDENTITY,
    published_at timestamptz
);
CREATE INDEX outbox_waiting ON outbox (position) WHERE published_at IS NULL;

CREATE TABLE explanations (
    event_id uuid PRIMARY KEY REFERENCES events,
    deployment_id uuid NOT NULL,
    verdict_number integer NOT NULL CHECK (verdict_number > 0),
    headline text NOT NULL,
    -- Null when no model wrote it.
    model text,
    written_at timestamptz NOT NULL
);
CREATE INDEX explanations_by_deployment ON explanations (deployment_id, verdict_number);

CREATE TABLE reviews (
    event_id uuid PRIMARY KEY REFERENCES events,
    deployment_id uuid NOT NULL,
    verdict_number integer NOT NULL CHECK (verdict_number > 0),
    decision text NOT NULL CHECK (decision IN ('approved', 'rejected')),
    reviewer text NOT NULL CHECK (reviewer <> ''),
    why text NOT NULL CHECK (why <> ''),
    reviewed_at timestamptz NOT NULL
);
CREATE INDEX reviews_by_deployment ON reviews (deployment_id);

CREATE TABLE outcomes (
    event_id uuid PRIMARY KEY REFERENCES events,
    deployment_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('succeeded', 'failed', 'rolled_back')),
    detail text NOT NULL,
    reporter text NOT NULL CHECK (reporter <> ''),
    occurred_at timestamptz NOT NULL
);
CREATE INDEX outcomes_by_deployment ON outcomes (deployment_id);

-- What is written stays as it was written.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the table % is append-only', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON findings FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON policies FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON verdicts FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON explanations FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON reviews FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON outcomes FOR EACH ROW EXECUTE FUNCTION refuse_change();
