-- Storage commitment (PS3.4 J): what consoles have asked, what becomes of it, what they were told.
CREATE TABLE commitments (
  id              INTEGER PRIMARY KEY,
  transaction_uid TEXT NOT NULL,
  calling_ae      TEXT NOT NULL,
  peer            TEXT NOT NULL,
  policy          TEXT NOT NULL CHECK (policy IN ('retain', 'proxy')),
  -- asked: not decided yet; forwarded: the archive has our request; decided: the answer stands;
  -- answered: the console has confirmed it; given_up: it could not be told.
  state           TEXT NOT NULL CHECK (state IN
                    ('asked', 'forwarded', 'decided', 'answered', 'given_up')),
  -- Whether the answer goes out on the association of the request (serve) or a new one (deliver).
  route           TEXT NOT NULL CHECK (route IN ('same', 'new')),
  asked           INTEGER NOT NULL,
  changed         INTEGER NOT NULL,
  next_try        INTEGER NOT NULL,
  -- Tries in this state that came to nothing.
  tries           INTEGER NOT NULL DEFAULT 0,
  words           TEXT NOT NULL DEFAULT '',
  UNIQUE (calling_ae, transaction_uid)
) STRICT;
CREATE INDEX commitments_open ON commitments (next_try)
  WHERE state IN ('asked', 'forwarded', 'decided');

CREATE TABLE commitment_instances (
  commitment INTEGER NOT NULL REFERENCES commitments,
  sop_uid    TEXT NOT NULL,
  sop_class  TEXT NOT NULL,
  -- 0: committed; otherwise the failure reason; NULL: not decided.
  verdict    INTEGER,
  -- Digest of the bytes that the archive has taken by C-STORE.
  sent       TEXT,
  PRIMARY KEY (commitment, sop_uid)
) STRICT, WITHOUT ROWID;

-- Our own requests to the archive. Each try has its own transaction.
CREATE TABLE archive_requests (
  transaction_uid TEXT PRIMARY KEY,
  commitment      INTEGER NOT NULL REFERENCES commitments,
  at              INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Instances that must not be deleted before a time.
CREATE TABLE holds (
  sop_uid TEXT PRIMARY KEY,
  until   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
