-- History's tables, in a schema of their own. Later versions only add.
CREATE SCHEMA IF NOT EXISTS history;

CREATE TABLE history.account (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account BYTEA NOT NULL UNIQUE
);

-- pruned_*: the furthest position that retention has removed.
CREATE TABLE history.stream (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream BYTEA NOT NULL UNIQUE,
  account BIGINT NOT NULL REFERENCES history.account (id),
  epoch BIGINT NOT NULL DEFAULT 0,
  token BIGINT NOT NULL DEFAULT 0,
  next_pos BIGINT NOT NULL DEFAULT 1,
  pruned_epoch BIGINT NOT NULL DEFAULT 0,
  pruned_pos BIGINT NOT NULL DEFAULT 0,
  deleting BOOLEAN NOT NULL DEFAULT FALSE
) WITH (fillfactor = 70);
CREATE INDEX stream_account ON history.stream (account);

CREATE TABLE history.epoch (
  stream BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  token BIGINT NOT NULL,
  PRIMARY KEY (stream, epoch)
);

CREATE TABLE history.buffer (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream BIGINT NOT NULL,
  name BYTEA NOT NULL,
  UNIQUE (stream, name)
);

-- msgid NULL: the one its position makes. words: what is searched, NULL for what is not.
CREATE TABLE history.entry (
  stream BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  id BYTEA NOT NULL,
  ts BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  redacted BOOLEAN NOT NULL DEFAULT FALSE,
  buffers BIGINT[] NOT NULL,
  source BYTEA NOT NULL,
  target BYTEA NOT NULL,
  body BYTEA NOT NULL,
  meta BYTEA NOT NULL,
  msgid TEXT,
  words TEXT,
  tsv TSVECTOR GENERATED ALWAYS AS (to_tsvector('pg_catalog.simple', words)) STORED,
  PRIMARY KEY (stream, epoch, pos)
);
CREATE UNIQUE INDEX entry_msgid ON history.entry (stream, msgid) WHERE msgid IS NOT NULL;
CREATE INDEX entry_words ON history.entry USING GIN (tsv);

-- Every buffer an entry belongs to. A buffer belongs to one stream, so the stream need not be repeated.
CREATE TABLE history.place (
  buffer BIGINT NOT NULL,
  ts BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  PRIMARY KEY (buffer, ts)
);

CREATE TABLE history.marker (
  stream BIGINT NOT NULL,
  buffer BYTEA NOT NULL,
  ts BIGINT NOT NULL,
  PRIMARY KEY (stream, buffer)
);

CREATE TABLE history.cursor (
  stream BIGINT NOT NULL,
  device BYTEA NOT NULL,
  epoch BIGINT NOT NULL,
  token BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  PRIMARY KEY (stream, device)
);

CREATE TABLE history.daily (
  day BIGINT NOT NULL,
  account BIGINT NOT NULL,
  entries BIGINT NOT NULL,
  PRIMARY KEY (account, day)
) WITH (fillfactor = 70);

-- The first millisecond from a_ts on that is not part of the run of taken ones that begins there. Looks two seconds
-- ahead, so the caller asks again until nothing moves.
CREATE FUNCTION history.free_from(a_buffer BIGINT, a_ts BIGINT) RETURNS BIGINT LANGUAGE sql STABLE AS $$
  SELECT a_ts + count(*) FROM (
    SELECT ts - row_number() OVER (ORDER BY ts) AS run FROM history.place
    WHERE buffer = a_buffer AND ts >= a_ts AND ts < a_ts + 2000
  ) r WHERE run = a_ts - 1
$$;

-- Appends one entry: fencing, duplicates, times and places as in the SQLite store. A row the tables refuse fails alone.
-- r_code: 0 stored, 1 the same line was there, 2 stale epoch, 3 no such stream, 4 refused.
CREATE FUNCTION history.append(
  a_account BYTEA, a_stream BYTEA, a_epoch BIGINT, a_token BIGINT, a_now BIGINT, a_id BYTEA, a_ts BIGINT,
  a_kind BIGINT, a_buffers TEXT, a_source BYTEA, a_target BYTEA, a_body BYTEA, a_meta BYTEA, a_msgid TEXT, a_words TEXT,
  OUT r_code BIGINT, OUT r_epoch BIGINT, OUT r_token BIGINT, OUT r_pos BIGINT, OUT r_id BYTEA, OUT r_ts BIGINT,
  OUT r_msgid TEXT, OUT r_reason TEXT
) LANGUAGE plpgsql AS $$
DECLARE
  s history.stream;
  v_owner BYTEA;
  v_old history.entry;
  v_name TEXT;
  v_buffer BIGINT;
  v_buffers BIGINT[] := '{}';
  v_free BIGINT;
  v_moved BOOLEAN;
BEGIN
  SELECT * INTO s FROM history.stream x WHERE x.stream = a_stream FOR UPDATE;
  SELECT x.account INTO v_owner FROM history.account x WHERE x.id = s.account;
  IF s.id IS NULL OR s.deleting OR v_owner IS DISTINCT FROM a_account THEN r_code := 3; RETURN; END IF;
  IF s.epoch <> a_epoch OR s.token <> a_token THEN r_code := 2; RETURN; END IF;
  r_msgid := a_msgid;
  IF r_msgid IS NOT NULL THEN
    SELECT * INTO v_old FROM history.entry x WHERE x.stream = s.id AND x.msgid = r_msgid;
    IF FOUND THEN
      -- A line that was taken back counts as the same one: it must not return through a second relay.
      IF v_old.source = a_source AND v_old.target = a_target AND v_old.kind = a_kind
          AND (v_old.redacted OR v_old.body = a_body) THEN
        r_code := 1; r_epoch := v_old.epoch; r_pos := v_old.pos; r_id := v_old.id; r_ts := v_old.ts;
        SELECT x.token INTO r_token FROM history.epoch x WHERE x.stream = s.id AND x.epoch = v_old.epoch;
        RETURN;
      END IF;
      r_msgid := NULL;
    END IF;
  END IF;
  BEGIN
    FOREACH v_name IN ARRAY string_to_array(a_buffers, ',') LOOP
      SELECT x.id INTO v_buffer FROM history.buffer x WHERE x.stream = s.id AND x.name = decode(v_name, 'hex');
      IF NOT FOUND THEN
        INSERT INTO history.buffer (stream, name) VALUES (s.id, decode(v_name, 'hex')) RETURNING id INTO v_buffer;
      END IF;
      IF NOT v_buffer = ANY (v_buffers) THEN v_buffers := v_buffers || v_buffer; END IF;
    END LOOP;
    r_ts := least(coalesce(a_ts, a_now), a_now);
    LOOP
      v_moved := FALSE;
      FOREACH v_buffer IN ARRAY v_buffers LOOP
        v_free := history.free_from(v_buffer, r_ts);
        v_moved := v_moved OR v_free <> r_ts;
        r_ts := v_free;
      END LOOP;
      EXIT WHEN NOT v_moved;
    END LOOP;
    INSERT INTO history.entry (stream, epoch, pos, id, ts, kind, buffers, source, target, body, meta, msgid, words)
      VALUES (s.id, s.epoch, s.next_pos, a_id, r_ts, a_kind, v_buffers, a_source, a_target, a_body, a_meta, r_msgid, a_words);
    INSERT INTO history.place (buffer, ts, epoch, pos, kind)
      SELECT b, r_ts, s.epoch, s.next_pos, a_kind FROM unnest(v_buffers) b;
    UPDATE history.stream x SET next_pos = s.next_pos + 1 WHERE x.id = s.id;
    INSERT INTO history.daily AS d (day, account, entries) VALUES (div(a_now, 86400000), s.account, 1)
      ON CONFLICT (account, day) DO UPDATE SET entries = d.entries + 1;
    r_code := 0; r_epoch := s.epoch; r_token := s.token; r_pos := s.next_pos; r_id := a_id;
  EXCEPTION
    WHEN integrity_constraint_violation OR data_exception OR program_limit_exceeded OR raise_exception THEN
      r_code := 4; r_reason := SQLERRM;
  END;
END
$$;
