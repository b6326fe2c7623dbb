-- A deployment's row is written with its acceptance at once, before the event that it refers to: whether that is there is looked at
-- when the transaction ends.
ALTER TABLE deployments ALTER CONSTRAINT deployments_month_accepted_event_id_fkey DEFERRABLE INITIALLY DEFERRED;
