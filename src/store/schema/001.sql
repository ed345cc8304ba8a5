-- Every time is milliseconds since 1970, UTC. Every path is relative to the state folder.

CREATE TABLE studies (
  study_uid    TEXT PRIMARY KEY,
  state        TEXT NOT NULL CHECK (state IN
                 ('receiving', 'queued', 'analysing', 'analysed', 'not_analysed')),
  first_seen   INTEGER NOT NULL,
  changed      INTEGER NOT NULL,
  patient_name TEXT NOT NULL DEFAULT '',
  patient_id   TEXT NOT NULL DEFAULT '',
  -- What the last finished run looked at; equal input means nothing new to do.
  input_sha256 TEXT NOT NULL DEFAULT '',
  -- Runs begun on `attempt_sha256`: the second that does not come back is the last (poison study).
  attempts       INTEGER NOT NULL DEFAULT 0,
  attempt_sha256 TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE series (
  series_uid  TEXT PRIMARY KEY,
  study_uid   TEXT NOT NULL REFERENCES studies,
  modality    TEXT NOT NULL,
  first_seen  INTEGER NOT NULL
) STRICT;

CREATE TABLE instances (
  id          INTEGER PRIMARY KEY,
  sop_uid     TEXT NOT NULL,
  series_uid  TEXT NOT NULL REFERENCES series,
  study_uid   TEXT NOT NULL REFERENCES studies,
  sop_class   TEXT NOT NULL,
  syntax      TEXT NOT NULL,
  path        TEXT NOT NULL UNIQUE,
  bytes       INTEGER NOT NULL,
  sha256      TEXT NOT NULL,
  calling_ae  TEXT NOT NULL,
  peer        TEXT NOT NULL,
  received    INTEGER NOT NULL,
  resent      INTEGER NOT NULL DEFAULT 0,
  UNIQUE (sop_uid, sha256)
) STRICT;
CREATE INDEX instances_of_study ON instances (study_uid);

CREATE TABLE state_changes (
  id        INTEGER PRIMARY KEY,
  study_uid TEXT NOT NULL REFERENCES studies,
  at        INTEGER NOT NULL,
  state     TEXT NOT NULL,
  why       TEXT NOT NULL
) STRICT;

CREATE TABLE models (
  sha256     TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  version    TEXT NOT NULL,
  first_used INTEGER NOT NULL
) STRICT;

-- A row is written before the report's files; `finished` after the last of them is durable.
CREATE TABLE reports (
  number     INTEGER PRIMARY KEY AUTOINCREMENT,
  study_uid  TEXT NOT NULL REFERENCES studies,
  begun      INTEGER NOT NULL,
  finished   INTEGER,
  folder     TEXT NOT NULL,
  sums_sha256 TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE results (
  id            INTEGER PRIMARY KEY,
  report        INTEGER NOT NULL UNIQUE REFERENCES reports,
  study_uid     TEXT NOT NULL REFERENCES studies,
  series_uid    TEXT NOT NULL,
  model_sha256  TEXT NOT NULL REFERENCES models,
  input_sha256  TEXT NOT NULL,
  made          INTEGER NOT NULL,
  state         TEXT NOT NULL CHECK (state IN ('analysed', 'not_analysed')),
  reason        TEXT NOT NULL,
  decision      TEXT,
  p_control     REAL,
  p_covid19     REAL,
  p_cap         REAL,
  involvement_total REAL,
  involvement_right REAL,
  involvement_left  REAL,
  profile       TEXT NOT NULL,
  seconds       REAL NOT NULL,
  json          TEXT NOT NULL,
  -- The result that took this one's place, after late images or a re-run.
  superseded_by INTEGER REFERENCES results
) STRICT;
CREATE INDEX results_of_study ON results (study_uid);

CREATE TABLE exports (
  id     INTEGER PRIMARY KEY,
  report INTEGER NOT NULL,
  at     INTEGER NOT NULL,
  target TEXT NOT NULL,
  folder TEXT NOT NULL,
  words  TEXT NOT NULL
) STRICT;

CREATE TABLE associations (
  id        INTEGER PRIMARY KEY,
  at        INTEGER NOT NULL,
  peer      TEXT NOT NULL,
  calling   TEXT NOT NULL,
  called    TEXT NOT NULL,
  outcome   TEXT NOT NULL,
  instances INTEGER NOT NULL DEFAULT 0,
  bytes     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE self_tests (
  id    INTEGER PRIMARY KEY,
  at    INTEGER NOT NULL,
  good  INTEGER NOT NULL CHECK (good IN (0, 1)),
  words TEXT NOT NULL
) STRICT;
