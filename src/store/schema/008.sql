-- What readers think of results: a row for each opinion, the newest of a reader on a report counts.
CREATE TABLE feedback (
  id     INTEGER PRIMARY KEY,
  report INTEGER NOT NULL REFERENCES reports,
  at     INTEGER NOT NULL,
  -- Who read it, as the hospital calls him or her; may be empty.
  reader TEXT NOT NULL,
  agrees INTEGER NOT NULL CHECK (agrees IN (0, 1)),
  -- What it is in the reader's eyes, where that was said.
  truth  TEXT CHECK (truth IN ('control', 'covid19', 'cap')),
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX feedback_of_report ON feedback (report, reader, id);

-- The same table of the audit trail with one more event. A constraint cannot be changed in place.
DROP TRIGGER audit_stays;
DROP TRIGGER audit_keeps;
DROP INDEX audit_by_event;
ALTER TABLE audit RENAME TO audit_before;
CREATE TABLE audit (
  seq   INTEGER PRIMARY KEY AUTOINCREMENT,
  at    INTEGER NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('start', 'configure', 'update', 'receive', 'refuse', 'result',
          'export', 'transfer', 'delete', 'feedback')),
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
