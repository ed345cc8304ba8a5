-- How the last sending of a study ended: empty where a sender said that it was done.
ALTER TABLE studies ADD COLUMN sending TEXT NOT NULL DEFAULT ''
  CHECK (sending IN ('', 'interrupted', 'longest'));
