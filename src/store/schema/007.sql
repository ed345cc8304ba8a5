-- How long this box has run since it was set up, without the time that it was off. Ages and
-- promises count in it: a clock that is set, forward or back, neither deletes nor keeps an image.
CREATE TABLE running (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  ms INTEGER NOT NULL
) STRICT;
INSERT INTO running VALUES (1, 0);

-- When, in that time, a study came into its state. What is older than this table has no age yet.
ALTER TABLE studies ADD COLUMN ran INTEGER NOT NULL DEFAULT 0;

-- `until` was of the wall clock: what is left of a promise runs from here.
UPDATE holds SET until = max(until - CAST(strftime('%s', 'now') AS INTEGER) * 1000, 0);
