-- Collectors of the site that the audit trail is told to. Written by `deliver` alone; the trail itself
-- is the spool: what lies behind `told` has not been taken yet.
CREATE TABLE collectors (
  -- HOST:PORT; another address is another collector, and hears the trail from its first row.
  address TEXT PRIMARY KEY,
  told    INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  -- Tries since the last one that came to something, and what the last one came to.
  tries   INTEGER NOT NULL,
  words   TEXT NOT NULL,
  -- What a patient's ID is hidden with.
  secret  BLOB NOT NULL
) STRICT;

-- Events for a broker, in the order in which they were made. `serve` writes a row with the result that
-- it tells of; `deliver` takes it away when the broker has it.
CREATE TABLE outbox (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  -- The same event has the same key, however often it is sent.
  key    TEXT NOT NULL UNIQUE,
  made   INTEGER NOT NULL,
  body   TEXT NOT NULL,
  state  TEXT NOT NULL CHECK (state IN ('waiting', 'refused')),
  tries  INTEGER NOT NULL,
  words  TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_waiting ON outbox (state, id);

-- The same table of the audit trail with two more events. A constraint cannot be changed in place.
DROP TRIGGER audit_stays;
DROP TRIGGER audit_keeps;
DROP INDEX audit_by_event;
ALTER TABLE audit RENAME TO audit_before;
CREATE TABLE audit (
  seq   INTEGER PRIMARY KEY AUTOINCREMENT,
  at    INTEGER NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('start', 'stop', 'configure', 'update', 'receive', 'complete',
          'refuse', 'result', 'export', 'transfer', 'delete', 'feedback')),
  -- A process or a caller; no person's name, and no patient's.
  who   TEXT NOT NULL,
  what  TEXT NOT NULL,
  hash  TEXT NOT NULL
) STRICT;
INSERT INTO audit (seq, at, event, who, what, hash)
  SELECT seq, at, event, who, what, hash FROM audit_before ORDER BY seq;
DROP TABLE audit_before;
CREATE INDEX audit_by_event ON audit (event, seq);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
