//! Every statement of the SQLite store, in one place so that a test can prepare them all.

/// The tables, from the first version on. `user_version` counts them; later versions only add.
pub(super) const MIGRATIONS: &[&str] = &["
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT, account BLOB NOT NULL UNIQUE) STRICT;

-- pruned_*: the furthest position that retention has removed.
CREATE TABLE stream (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  stream BLOB NOT NULL UNIQUE,
  account INTEGER NOT NULL REFERENCES account (id),
  epoch INTEGER NOT NULL,
  token INTEGER NOT NULL,
  pruned_epoch INTEGER NOT NULL DEFAULT 0,
  pruned_offset INTEGER NOT NULL DEFAULT 0,
  deleting INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX stream_account ON stream (account);

CREATE TABLE epoch (
  stream INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  token INTEGER NOT NULL,
  PRIMARY KEY (stream, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE buffer (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  stream INTEGER NOT NULL,
  name BLOB NOT NULL,
  UNIQUE (stream, name)
) STRICT;

-- buffers: the buffers' ids as varints. msgid NULL: the one its position makes. text NULL: the body itself is searched.
CREATE TABLE entry (
  stream INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  id BLOB NOT NULL,
  ts INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  redacted INTEGER NOT NULL DEFAULT 0,
  doc INTEGER,
  buffers BLOB NOT NULL,
  source BLOB NOT NULL,
  target BLOB NOT NULL,
  body BLOB NOT NULL,
  meta BLOB NOT NULL,
  msgid TEXT,
  text TEXT,
  PRIMARY KEY (stream, epoch, offset)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX entry_msgid ON entry (stream, msgid) WHERE msgid IS NOT NULL;

-- Every buffer an entry belongs to. A buffer belongs to one stream, so the stream need not be repeated.
CREATE TABLE place (
  buffer INTEGER NOT NULL,
  ts INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  PRIMARY KEY (buffer, ts)
) STRICT, WITHOUT ROWID;

-- What is searched, in commit order: the search index follows behind.
CREATE TABLE doc (
  doc INTEGER PRIMARY KEY,
  stream INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  offset INTEGER NOT NULL
) STRICT;

-- scope holds a<account> s<stream> b<buffer>…, so that a search reads only what it may see.
CREATE VIRTUAL TABLE words USING fts5 (
  scope, text, content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 0'
);
INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
INSERT INTO meta (key, value) VALUES ('indexed_to', 0);

CREATE TABLE marker (
  stream INTEGER NOT NULL,
  buffer BLOB NOT NULL,
  ts INTEGER NOT NULL,
  PRIMARY KEY (stream, buffer)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursor (
  stream INTEGER NOT NULL,
  device BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  token INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  PRIMARY KEY (stream, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE daily (
  day INTEGER NOT NULL,
  account INTEGER NOT NULL,
  entries INTEGER NOT NULL,
  PRIMARY KEY (day, account)
) STRICT, WITHOUT ROWID;
"];

/// The columns [`super::rows::entry`] reads.
macro_rules! entry_columns {
    () => {
        "e.epoch, e.offset, e.id, e.ts, e.kind, e.redacted, e.source, e.target, e.body, e.meta, e.msgid"
    };
}

macro_rules! statements {
    ($($name:ident = $($sql:expr),+;)*) => {
        $(pub(super) const $name: &str = concat!($($sql),+);)*
        /// All of them.
        #[cfg(test)]
        pub(super) const ALL: &[&str] = &[$($name),*];
    };
}

statements! {
    // Streams and epochs.
    ACCOUNT_ADD = "INSERT INTO account (account) VALUES (?1) ON CONFLICT DO NOTHING";
    ACCOUNT_ID = "SELECT id FROM account WHERE account = ?1";
    ACCOUNT_DROP = "DELETE FROM account WHERE id = ?1";
    STREAM_ADD = "INSERT INTO stream (stream, account, epoch, token) VALUES (?1, ?2, 0, 0) ON CONFLICT DO NOTHING";
    STREAM_LOAD = "SELECT s.id, s.account, a.account, s.epoch, s.token, s.pruned_epoch, s.pruned_offset, s.deleting
        FROM stream s JOIN account a ON a.id = s.account WHERE s.stream = ?1";
    STREAM_RAISE = "UPDATE stream SET epoch = epoch + 1, token = ?2 WHERE id = ?1 RETURNING epoch";
    EPOCH_ADD = "INSERT INTO epoch (stream, epoch, token) VALUES (?1, ?2, ?3)";
    EPOCH_TOKEN = "SELECT token FROM epoch WHERE stream = ?1 AND epoch = ?2";
    STREAM_ALL = "SELECT id FROM stream WHERE deleting = 0";
    STREAM_LAST_OFFSET = "SELECT max(offset) FROM entry WHERE stream = ?1 AND epoch = ?2";
    STREAM_OF = "SELECT s.id FROM stream s JOIN account a ON a.id = s.account
        WHERE s.stream = ?1 AND a.account = ?2 AND s.deleting = 0";
    STREAMS_OF = "SELECT s.stream FROM stream s JOIN account a ON a.id = s.account
        WHERE a.account = ?1 AND s.deleting = 0 ORDER BY s.id";
    STREAM_IDS_OF = "SELECT s.id FROM stream s JOIN account a ON a.id = s.account
        WHERE a.account = ?1 AND s.deleting = 0 ORDER BY s.id";
    ABOUT = "SELECT coalesce(sum((SELECT max(offset) FROM entry e WHERE e.stream = p.stream AND e.epoch = p.epoch)
          - (SELECT min(offset) FROM entry e WHERE e.stream = p.stream AND e.epoch = p.epoch) + 1), 0)
        FROM epoch p JOIN stream s ON s.id = p.stream JOIN account a ON a.id = s.account
        WHERE a.account = ?1 AND s.deleting = 0";
    STREAM_PRUNED = "SELECT pruned_epoch, pruned_offset FROM stream WHERE id = ?1";
    STREAM_NAME = "SELECT stream FROM stream WHERE id = ?1";

    // Appending.
    BUFFER_ID = "SELECT id FROM buffer WHERE stream = ?1 AND name = ?2";
    BUFFER_ADD = "INSERT INTO buffer (stream, name) VALUES (?1, ?2)";
    BUFFER_NAME = "SELECT name FROM buffer WHERE id = ?1";
    BUFFER_LAST_TS = "SELECT max(ts) FROM place WHERE buffer = ?1";
    PLACE_FROM = "SELECT ts FROM place WHERE buffer = ?1 AND ts >= ?2 ORDER BY ts";
    MSGID_FIND = "SELECT epoch, offset, id, ts, redacted, source, target, body, kind
        FROM entry WHERE stream = ?1 AND msgid = ?2";
    ENTRY_ADD = "INSERT INTO entry
        (stream, epoch, offset, id, ts, kind, doc, buffers, source, target, body, meta, msgid, text)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    PLACE_ADD = "INSERT INTO place (buffer, ts, epoch, offset, kind) VALUES (?1, ?2, ?3, ?4, ?5)";
    DOC_ADD = "INSERT INTO doc (doc, stream, epoch, offset) VALUES (?1, ?2, ?3, ?4)";
    DAILY_ADD = "INSERT INTO daily (day, account, entries) VALUES (?1, ?2, ?3)
        ON CONFLICT (day, account) DO UPDATE SET entries = entries + excluded.entries";

    // Pages and cursors.
    BUFFER_OF = "SELECT s.id, b.id FROM stream s JOIN account a ON a.id = s.account JOIN buffer b ON b.stream = s.id
        WHERE s.stream = ?1 AND a.account = ?2 AND s.deleting = 0 AND b.name = ?3";
    PAGE_UP = "SELECT ", entry_columns!(), " FROM place p CROSS JOIN entry e
        ON e.stream = ?1 AND e.epoch = p.epoch AND e.offset = p.offset
        WHERE p.buffer = ?2 AND p.ts > ?3 AND p.ts < ?4 AND (?5 >> p.kind) & 1 ORDER BY p.ts LIMIT ?6";
    PAGE_DOWN = "SELECT ", entry_columns!(), " FROM place p CROSS JOIN entry e
        ON e.stream = ?1 AND e.epoch = p.epoch AND e.offset = p.offset
        WHERE p.buffer = ?2 AND p.ts > ?3 AND p.ts < ?4 AND (?5 >> p.kind) & 1 ORDER BY p.ts DESC LIMIT ?6";
    BY_MSGID = "SELECT ", entry_columns!(), " FROM entry e WHERE e.stream = ?1 AND e.msgid = ?2";
    BY_POSITION = "SELECT ", entry_columns!(), " FROM entry e WHERE e.stream = ?1 AND e.epoch = ?2 AND e.offset = ?3";
    TARGETS = "SELECT name, latest FROM (SELECT b.name AS name, (SELECT p.ts FROM place p WHERE p.buffer = b.id AND (?2 >> p.kind) & 1
        ORDER BY p.ts DESC LIMIT 1) AS latest FROM buffer b WHERE b.stream = ?1)
        WHERE latest > ?3 AND latest < ?4 ORDER BY latest LIMIT ?5";
    SINCE = "SELECT ", entry_columns!(), " FROM entry e WHERE e.stream = ?1 AND (e.epoch, e.offset) > (?2, ?3)
        AND (?4 >> e.kind) & 1 ORDER BY e.epoch, e.offset LIMIT ?5";
    FIRST_SINCE_TIME = "SELECT p.epoch, p.offset FROM buffer b CROSS JOIN place p ON p.buffer = b.id
        WHERE b.stream = ?1 AND p.ts > ?2 ORDER BY p.epoch, p.offset LIMIT 1";
    LATEST_POSITION = "SELECT epoch, offset FROM entry WHERE stream = ?1 ORDER BY epoch DESC, offset DESC LIMIT 1";
    EXPORT = "SELECT ", entry_columns!(), ", e.buffers FROM entry e
        WHERE e.stream = ?1 AND (e.epoch, e.offset) > (?2, ?3) ORDER BY e.epoch, e.offset LIMIT ?4";

    // Markers, cursors, counts.
    MARKER_SET = "INSERT INTO marker (stream, buffer, ts) VALUES (?1, ?2, ?3)
        ON CONFLICT (stream, buffer) DO UPDATE SET ts = max(ts, excluded.ts) RETURNING ts";
    MARKERS = "SELECT buffer, ts FROM marker WHERE stream = ?1 ORDER BY buffer";
    CURSOR_SET = "INSERT INTO cursor (stream, device, epoch, token, offset, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (stream, device) DO UPDATE SET epoch = excluded.epoch, token = excluded.token,
        offset = excluded.offset, updated = excluded.updated
        WHERE (excluded.epoch, excluded.offset) > (cursor.epoch, cursor.offset)
        OR NOT EXISTS (SELECT 1 FROM epoch h WHERE h.stream = cursor.stream AND h.epoch = cursor.epoch AND h.token = cursor.token)";
    CURSORS = "SELECT device, epoch, token, offset, updated FROM cursor WHERE stream = ?1 ORDER BY device";
    CURSOR_DROP = "DELETE FROM cursor WHERE stream = ?1 AND device = ?2";
    DAILY_OF = "WITH RECURSIVE days (day) AS
        (SELECT max(?2, coalesce((SELECT min(day) FROM daily), ?2)) UNION ALL SELECT day + 1 FROM days WHERE day < ?3)
        SELECT d.day, d.entries FROM days CROSS JOIN daily d ON d.day = days.day AND d.account = ?1";

    // Searching.
    INDEXED_TO = "SELECT value FROM meta WHERE key = 'indexed_to'";
    INDEXED_SET = "UPDATE meta SET value = ?1 WHERE key = 'indexed_to'";
    DOC_LAST = "SELECT max(doc) FROM doc";
    DOC_NEXT = "SELECT d.doc, s.account, d.stream, e.buffers, coalesce(e.text, CAST(e.body AS TEXT))
        FROM doc d CROSS JOIN entry e ON e.stream = d.stream AND e.epoch = d.epoch AND e.offset = d.offset
        CROSS JOIN stream s ON s.id = d.stream
        WHERE d.doc > ?1 ORDER BY d.doc LIMIT ?2";
    WORDS_ADD = "INSERT INTO words (rowid, scope, text) VALUES (?1, ?2, ?3)";
    WORDS_DROP = "INSERT INTO words (words, rowid, scope, text) VALUES ('delete', ?1, ?2, ?3)";
    SEARCH_WORDS = "SELECT d.stream, e.buffers, ", entry_columns!(), ", d.doc FROM
        (SELECT rowid AS doc FROM words WHERE words MATCH ?1 AND rowid <= ?2 ORDER BY rowid DESC LIMIT ?3) w
        CROSS JOIN doc d ON d.doc = w.doc
        CROSS JOIN entry e ON e.stream = d.stream AND e.epoch = d.epoch AND e.offset = d.offset";
    SEARCH_TAIL = "SELECT d.stream, e.buffers, ", entry_columns!(), ", d.doc, coalesce(e.text, CAST(e.body AS TEXT)) FROM doc d
        CROSS JOIN entry e ON e.stream = d.stream AND e.epoch = d.epoch AND e.offset = d.offset
        WHERE d.doc > ?1";
    SEARCH_BUFFER = "SELECT e.stream, e.buffers, ", entry_columns!(), ", e.doc FROM place p CROSS JOIN entry e
        ON e.stream = ?1 AND e.epoch = p.epoch AND e.offset = p.offset
        WHERE p.buffer = ?2 AND p.ts > ?3 AND p.ts < ?4 ORDER BY p.ts DESC LIMIT ?5";

    // Taking away.
    ENTRY_FULL = "SELECT e.ts, e.doc, e.buffers, coalesce(e.text, CAST(e.body AS TEXT)), s.account
        FROM entry e JOIN stream s ON s.id = e.stream WHERE e.stream = ?1 AND e.epoch = ?2 AND e.offset = ?3";
    ENTRY_REDACT = "UPDATE entry SET body = x'', meta = x'', text = NULL, doc = NULL, redacted = 1
        WHERE stream = ?1 AND epoch = ?2 AND offset = ?3";
    ENTRY_DROP = "DELETE FROM entry WHERE stream = ?1 AND epoch = ?2 AND offset = ?3";
    PLACE_DROP = "DELETE FROM place WHERE buffer = ?1 AND ts = ?2 AND epoch = ?3 AND offset = ?4";
    DOC_DROP = "DELETE FROM doc WHERE doc = ?1";
    PRUNE_NEXT = "SELECT p.epoch, p.offset FROM buffer b CROSS JOIN place p ON p.buffer = b.id
        WHERE b.stream = ?1 AND p.ts < ?2 LIMIT ?3";
    PRUNE_NOTE = "UPDATE stream SET pruned_epoch = ?2, pruned_offset = ?3
        WHERE id = ?1 AND (pruned_epoch, pruned_offset) < (?2, ?3)";
    DELETE_MARK = "UPDATE stream SET deleting = 1, epoch = epoch + 1, token = ?2 WHERE id = ?1";
    DELETE_FIND = "SELECT s.id FROM stream s JOIN account a ON a.id = s.account WHERE s.stream = ?1 AND a.account = ?2";
    DELETE_FIND_ALL = "SELECT s.stream FROM stream s JOIN account a ON a.id = s.account WHERE a.account = ?1";
    DELETE_NEXT = "SELECT epoch, offset FROM entry WHERE stream = ?1 LIMIT ?2";
    DELETE_PLACES = "DELETE FROM place WHERE buffer IN (SELECT id FROM buffer WHERE stream = ?1)";
    DELETE_BUFFERS = "DELETE FROM buffer WHERE stream = ?1";
    DELETE_MARKERS = "DELETE FROM marker WHERE stream = ?1";
    DELETE_CURSORS = "DELETE FROM cursor WHERE stream = ?1";
    DELETE_EPOCHS = "DELETE FROM epoch WHERE stream = ?1";
    DELETE_STREAM = "DELETE FROM stream WHERE id = ?1";
    DELETE_DAILY = "DELETE FROM daily WHERE account = ?1";
    ACCOUNT_STREAMS = "SELECT count(*) FROM stream WHERE account = ?1";
}
