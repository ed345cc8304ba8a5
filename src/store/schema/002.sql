-- The association history: one row an attempt, or one for many of the same caller. `outcome` is the
-- result word, `words` what else is to be said, `ended` the end of an accepted one.
ALTER TABLE associations ADD COLUMN port INTEGER NOT NULL DEFAULT 0;
ALTER TABLE associations ADD COLUMN secure INTEGER NOT NULL DEFAULT 0;
ALTER TABLE associations ADD COLUMN words TEXT NOT NULL DEFAULT '';
ALTER TABLE associations ADD COLUMN proposed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE associations ADD COLUMN contexts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE associations ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
ALTER TABLE associations ADD COLUMN times INTEGER NOT NULL DEFAULT 1;

-- Callers that were heard while learning. They were refused like all strangers.
CREATE TABLE proposals (
  peer    TEXT NOT NULL,
  calling TEXT NOT NULL,
  called  TEXT NOT NULL,
  secure  INTEGER NOT NULL,
  first   INTEGER NOT NULL,
  last    INTEGER NOT NULL,
  times   INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (peer, calling)
) STRICT;
