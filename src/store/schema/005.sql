-- Results to archives: the DICOM objects of each report, and what each destination has of them.
CREATE TABLE objects (
  id         INTEGER PRIMARY KEY,
  report     INTEGER NOT NULL REFERENCES reports,
  study_uid  TEXT NOT NULL REFERENCES studies,
  kind       TEXT NOT NULL CHECK (kind IN ('sr', 'seg', 'sc', 'pdf')),
  sop_class  TEXT NOT NULL,
  sop_uid    TEXT NOT NULL,
  series_uid TEXT NOT NULL,
  path       TEXT NOT NULL,
  bytes      INTEGER NOT NULL,
  sha256     TEXT NOT NULL,
  UNIQUE (report, kind)
) STRICT;
CREATE INDEX objects_by_uid ON objects (sop_uid);

-- Written in the transaction of the result, so that no result is without its deliveries.
CREATE TABLE deliveries (
  id          INTEGER PRIMARY KEY,
  object      INTEGER NOT NULL REFERENCES objects,
  -- The name in the settings.
  destination TEXT NOT NULL,
  -- waiting: to be sent; taken: the peer has it and is to be asked for commitment; asked: it was
  -- asked; delivered and committed: the end; failed: the peer does not take it; manual: the tries
  -- are used up, a person starts it again.
  state       TEXT NOT NULL CHECK (state IN
                ('waiting', 'taken', 'asked', 'delivered', 'committed', 'failed', 'manual')),
  entered     INTEGER NOT NULL,
  changed     INTEGER NOT NULL,
  next_try    INTEGER NOT NULL,
  -- Tries begun in this state.
  tries       INTEGER NOT NULL DEFAULT 0,
  -- The peer's last status, and what else is to be said.
  status      INTEGER,
  words       TEXT NOT NULL DEFAULT '',
  -- Our last request for commitment.
  transaction_uid TEXT,
  UNIQUE (object, destination)
) STRICT;
CREATE INDEX deliveries_open ON deliveries (next_try) WHERE state IN ('waiting', 'taken', 'asked');
CREATE INDEX deliveries_asked ON deliveries (transaction_uid) WHERE transaction_uid IS NOT NULL;
