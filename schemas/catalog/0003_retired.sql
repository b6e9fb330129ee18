-- A segment that is being removed: its row goes when its files have gone.
ALTER TABLE segments ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;
