-- In an index, what tells rows apart comes first, and the month last. While the tables of a month are empty, PostgreSQL takes any index
-- that begins with the month to be as good as the key; it keeps such a plan while they grow, and then reads the whole month for
-- each reference to an event.
ALTER TABLE events DROP CONSTRAINT events_month_link_key, ADD UNIQUE (link, month);
ALTER TABLE verdicts DROP CONSTRAINT verdicts_month_event_id_key, ADD UNIQUE (event_id, month);
