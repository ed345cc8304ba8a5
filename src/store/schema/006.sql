-- What was done, in a chain: each row's hash is over its content and the hash before it.
CREATE TABLE audit (
  seq   INTEGER PRIMARY KEY AUTOINCREMENT,
  at    INTEGER NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('start', 'configure', 'update', 'receive', 'refuse', 'result',
          'export', 'transfer', 'delete')),
  -- A process or a caller; no person's name, and no patient's.
  who   TEXT NOT NULL,
  what  TEXT NOT NULL,
  hash  TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_event ON audit (event, seq);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
