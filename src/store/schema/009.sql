-- The self-test through phantoms ('whole'), beside that of the model's goldens at each start ('model').
ALTER TABLE self_tests ADD COLUMN kind TEXT NOT NULL DEFAULT 'model' CHECK (kind IN ('model', 'whole'));
-- When it ended, in the time that the box has run: the daily one goes by that.
ALTER TABLE self_tests ADD COLUMN ran INTEGER NOT NULL DEFAULT 0;
ALTER TABLE self_tests ADD COLUMN seconds REAL NOT NULL DEFAULT 0;
CREATE TABLE self_test_steps (
  test  INTEGER NOT NULL REFERENCES self_tests ON DELETE CASCADE,
  step  TEXT NOT NULL,
  good  INTEGER NOT NULL CHECK (good IN (0, 1)),
  words TEXT NOT NULL,
  PRIMARY KEY (test, step)
) STRICT;

-- What the exporter of the box tells by a file, which it may leave twice.
CREATE TABLE receipts (
  id    TEXT PRIMARY KEY,
  at    INTEGER NOT NULL,
  stick TEXT NOT NULL,
  words TEXT NOT NULL
) STRICT;
