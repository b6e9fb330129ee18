-- What segments imply, for finding them quickly. Times are ns since 1970.
CREATE TABLE recordings (
  id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE segments (
  name TEXT PRIMARY KEY,
  recording TEXT NOT NULL REFERENCES recordings (id),
  t0 INTEGER NOT NULL,
  t1 INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  rows TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE batches (
  segment TEXT NOT NULL REFERENCES segments (name) ON DELETE CASCADE,
  file TEXT NOT NULL,
  batch INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  t0 INTEGER NOT NULL,
  t1 INTEGER NOT NULL,
  zones TEXT NOT NULL,
  PRIMARY KEY (segment, file, batch)
) STRICT, WITHOUT ROWID;

-- A window [a, b) is found as t0 BETWEEN a - longest AND b AND t1 >= a: t0 leads.
CREATE INDEX segments_by_time ON segments (t0, t1);
CREATE INDEX batches_by_time ON batches (t0, t1);
