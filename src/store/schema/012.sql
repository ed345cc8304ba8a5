-- How far it was taken in what the display tells of its door: a session is one start of the display.
CREATE TABLE door (
  session TEXT PRIMARY KEY,
  number  INTEGER NOT NULL
) STRICT;

-- The same table of the audit trail with two more events. A constraint cannot be changed in place.
DROP TRIGGER audit_stays;
DROP TRIGGER audit_keeps;
DROP INDEX audit_by_event;
ALTER TABLE audit RENAME TO audit_before;
CREATE TABLE audit (
  seq   INTEGER PRIMARY KEY AUTOINCREMENT,
  at    INTEGER NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('start', 'stop', 'configure', 'update', 'receive', 'complete',
          'refuse', 'result', 'view', 'export', 'transfer', 'delete', 'feedback', 'login')),
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
