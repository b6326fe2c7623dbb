-- In every index what tells rows apart comes first, and the month last. While the tables of a month are empty, PostgreSQL takes any index
-- that begins with the month to be as good as the one that holds the whole key; it keeps such a plan while they grow, and then reads
-- the whole month for each reference to an event.
ALTER TABLE signals DROP CONSTRAINT signals_month_event_id_fkey, DROP CONSTRAINT signals_month_deployment_id_fkey;
ALTER TABLE outbox DROP CONSTRAINT outbox_month_event_id_fkey;
ALTER TABLE deployments DROP CONSTRAINT deployments_month_accepted_event_id_fkey;
ALTER TABLE findings DROP CONSTRAINT findings_month_event_id_fkey;
ALTER TABLE verdicts DROP CONSTRAINT verdicts_month_event_id_fkey, DROP CONSTRAINT verdicts_month_deployment_id_fkey;
ALTER TABLE explanations DROP CONSTRAINT explanations_month_event_id_fkey;
ALTER TABLE reviews DROP CONSTRAINT reviews_month_event_id_fkey;
ALTER TABLE outcomes DROP CONSTRAINT outcomes_month_event_id_fkey;
ALTER TABLE events DROP CONSTRAINT events_month_deployment_id_fkey;

ALTER TABLE deployments DROP CONSTRAINT deployments_month_deployment_id_key, ADD UNIQUE (deployment_id, month);
ALTER TABLE events DROP CONSTRAINT events_pkey, ADD PRIMARY KEY (event_id, month),
    DROP CONSTRAINT events_month_link_key, ADD UNIQUE (link, month);
ALTER TABLE findings DROP CONSTRAINT findings_pkey, ADD PRIMARY KEY (event_id, ordinal, month);
ALTER TABLE verdicts DROP CONSTRAINT verdicts_pkey, ADD PRIMARY KEY (deployment_id, number, month),
    DROP CONSTRAINT verdicts_month_event_id_key, ADD UNIQUE (event_id, month);
ALTER TABLE explanations DROP CONSTRAINT explanations_pkey, ADD PRIMARY KEY (event_id, month);
ALTER TABLE reviews DROP CONSTRAINT reviews_pkey, ADD PRIMARY KEY (event_id, month);
ALTER TABLE outcomes DROP CONSTRAINT outcomes_pkey, ADD PRIMARY KEY (event_id, month);
ALTER TABLE shadow_verdicts DROP CONSTRAINT shadow_verdicts_pkey,
    ADD PRIMARY KEY (deployment_id, number, policy_digest, month);

ALTER TABLE events ADD FOREIGN KEY (month, deployment_id) REFERENCES deployments (month, deployment_id);
ALTER TABLE outcomes ADD FOREIGN KEY (month, event_id) REFERENCES events (month, event_id);
ALTER TABLE reviews ADD FOREIGN KEY (month, event_id) REFERENCES events (month, event_id);
ALTER TABLE explanations ADD FOREIGN KEY (month, event_id) REFERENCES events (month, event_id);
ALTER TABLE verdicts ADD FOREIGN KEY (month, event_id) REFERENCES events (month, event_id),
    ADD FOREIGN KEY (month, deployment_id) REFERENCES deployments (month, deployment_id);
ALTER TABLE findings ADD FOREIGN KEY (month, event_id) REFERENCES events (month, event_id);
-- A deployment's row is written with its acceptance at once, before the event that it refers to: whether that is there is looked at
-- when the transaction ends.
ALTER TABLE deployments ADD FOREIGN KEY (month, accepted_event_id) REFERENCES events (month, event_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE outbox ADD FOREIGN KEY (month, event_id) REFERENCES events (month, event_id);
ALTER TABLE signals ADD FOREIGN KEY (month, event_id) REFERENCES events (month, event_id),
    ADD FOREIGN KEY (month, deployment_id) REFERENCES deployments (month, deployment_id);
