-- Space: what was removed. A row outlives its file.
ALTER TABLE instances ADD COLUMN removed INTEGER;

-- A digest of PatientID: one instance UID under two patients is told, nobody is named.
ALTER TABLE instances ADD COLUMN patient TEXT NOT NULL DEFAULT '';

-- Came again under a known UID with other content: kept, told, and left out of every analysis.
ALTER TABLE instances ADD COLUMN quarantined INTEGER;
UPDATE instances SET quarantined = received
  WHERE id NOT IN (SELECT min(id) FROM instances GROUP BY sop_uid);

-- Written before the first file goes; `finished` after the last one is gone for good.
CREATE TABLE purges (
  id        INTEGER PRIMARY KEY,
  study_uid TEXT NOT NULL REFERENCES studies,
  begun     INTEGER NOT NULL,
  finished  INTEGER,
  instances INTEGER NOT NULL,
  bytes     INTEGER NOT NULL,
  why       TEXT NOT NULL
) STRICT;
CREATE INDEX purges_open ON purges (id) WHERE finished IS NULL;
