-- Losses, for saying whether a window is complete. A count of NULL is unknown.
CREATE TABLE losses (
  segment TEXT NOT NULL REFERENCES segments (name) ON DELETE CASCADE,
  stage TEXT NOT NULL,
  cause TEXT NOT NULL,
  type TEXT,
  op TEXT,
  cpu INTEGER,
  count INTEGER,
  t0 INTEGER NOT NULL,
  t1 INTEGER NOT NULL
) STRICT;

CREATE INDEX losses_by_segment ON losses (segment);
CREATE INDEX losses_by_time ON losses (t0, t1);

-- The longest one bounds how far before a window its first segment or batch can begin.
CREATE INDEX segments_by_span ON segments (t1 - t0);
CREATE INDEX batches_by_span ON batches (t1 - t0);
