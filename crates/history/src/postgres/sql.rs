//! Every statement of the PostgreSQL store, in one place so that a test can prepare them all.

/// The tables, from the first version on. `history_version` counts them.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// The columns [`super::rows::entry`] reads.
macro_rules! entry_columns {
    () => {
        "e.epoch, e.pos, e.id, e.ts, e.kind, e.redacted, e.source, e.target, e.body, e.meta, e.msgid,
         (SELECT h.token FROM history.epoch h WHERE h.stream = e.stream AND h.epoch = e.epoch) AS token"
    };
}

/// $1 the account's streams, $2 a buffer or NULL, $3 and $4 the times between, $5 a nick or NULL.
macro_rules! search_filter {
    () => {
        "e.stream = ANY($1) AND ($2::BIGINT IS NULL OR $2 = ANY(e.buffers)) AND e.ts > $3 AND e.ts < $4
         AND ($5::BYTEA IS NULL OR lower(encode(substring(e.source FOR octet_length($5)), 'escape')) = lower(encode($5, 'escape'))
           AND substring(e.source FROM octet_length($5) + 1 FOR 1) IN ('', '!', '@'))"
    };
}

/// The newest $6.
macro_rules! search_order {
    () => {
        "ORDER BY e.ts DESC, e.epoch DESC, e.pos DESC LIMIT $6"
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

/// What deletions touch.
pub(super) const VACUUM: &[&str] = &[
    "VACUUM history.entry",
    "VACUUM history.place",
    "VACUUM history.buffer",
    "VACUUM history.marker",
    "VACUUM history.cursor",
    "VACUUM history.epoch",
    "VACUUM history.stream",
    "VACUUM history.daily",
    "VACUUM history.account",
];

/// Trigrams for what lies inside words. The extension may have been made in any schema by somebody else.
pub(super) const PARTS_INDEX: &str = "
DO $$
BEGIN
  CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA history;
  EXECUTE format('CREATE INDEX IF NOT EXISTS entry_parts ON history.entry USING GIN (words %I.gin_trgm_ops)',
    (SELECT n.nspname FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname = 'pg_trgm'));
END
$$";

/// The version's own table, before there is anything else.
pub(super) const VERSION_TABLE: &str = "CREATE TABLE IF NOT EXISTS history_version (version BIGINT NOT NULL)";

statements! {
    LOCK = "SELECT pg_advisory_xact_lock(7016996765293437281)";
    VERSION = "SELECT coalesce(max(version), 0) FROM history_version";
    VERSION_SET = "INSERT INTO history_version (version) VALUES ($1)";

    // The trigram index, where the extension can be had.
    PARTS_KNOWN = "SELECT to_regclass('history.entry_parts') IS NOT NULL";
    PATIENTLY = "SET LOCAL statement_timeout = 0";

    // Streams and epochs.
    ACCOUNT_ADD = "INSERT INTO history.account (account) VALUES ($1) ON CONFLICT DO NOTHING";
    STREAM_ADD = "INSERT INTO history.stream (stream, account)
        SELECT $1, id FROM history.account WHERE account = $2 ON CONFLICT DO NOTHING";
    STREAM_OPEN = "UPDATE history.stream s SET epoch = s.epoch + 1, token = $3, next_pos = 1
        FROM history.account a WHERE a.id = s.account AND s.stream = $1 AND a.account = $2 AND NOT s.deleting
        RETURNING s.id, s.epoch";
    STREAM_RAISE = "UPDATE history.stream SET epoch = epoch + 1, token = $2, next_pos = 1 WHERE id = $1 RETURNING epoch";
    EPOCH_ADD = "INSERT INTO history.epoch (stream, epoch, token) VALUES ($1, $2, $3)";
    EPOCH_KNOWN = "SELECT 1::BIGINT FROM history.epoch WHERE stream = $1 AND epoch = $2 AND token = $3";
    STREAM_ALL = "SELECT id FROM history.stream WHERE NOT deleting ORDER BY id";
    STREAM_OF = "SELECT s.id, s.pruned_epoch, s.pruned_pos FROM history.stream s JOIN history.account a ON a.id = s.account
        WHERE s.stream = $1 AND a.account = $2 AND NOT s.deleting";
    STREAMS_OF = "SELECT s.id, s.stream FROM history.stream s JOIN history.account a ON a.id = s.account
        WHERE a.account = $1 AND NOT s.deleting ORDER BY s.id";
    ABOUT = "SELECT coalesce(sum((SELECT max(pos) FROM history.entry e WHERE e.stream = p.stream AND e.epoch = p.epoch)
          - (SELECT min(pos) FROM history.entry e WHERE e.stream = p.stream AND e.epoch = p.epoch) + 1), 0)::BIGINT
        FROM history.epoch p JOIN history.stream s ON s.id = p.stream JOIN history.account a ON a.id = s.account
        WHERE a.account = $1 AND NOT s.deleting";

    // Appending: one call for a whole group.
    APPEND = "SELECT r.r_code, r.r_epoch, r.r_token, r.r_pos, r.r_id, r.r_ts, r.r_msgid, r.r_reason
        FROM unnest($1::BYTEA[], $2::BYTEA[], $3::BIGINT[], $4::BIGINT[], $5::BYTEA[], $6::BIGINT[], $7::BIGINT[],
          $8::TEXT[], $9::BYTEA[], $10::BYTEA[], $11::BYTEA[], $12::BYTEA[], $13::TEXT[], $14::TEXT[])
          WITH ORDINALITY u (account, stream, epoch, token, id, ts, kind, buffers, source, target, body, meta, msgid, words, ord)
        CROSS JOIN LATERAL history.append(u.account, u.stream, u.epoch, u.token, $15, u.id, u.ts, u.kind, u.buffers,
          u.source, u.target, u.body, u.meta, u.msgid, u.words) r
        ORDER BY u.ord";

    // Pages and cursors.
    BUFFER_OF = "SELECT id FROM history.buffer WHERE stream = $1 AND name = $2";
    BUFFER_NAMES = "SELECT id, name FROM history.buffer WHERE id = ANY($1)";
    PAGE_UP = "SELECT ", entry_columns!(), " FROM history.place p
        JOIN history.entry e ON e.stream = $1 AND e.epoch = p.epoch AND e.pos = p.pos
        WHERE p.buffer = $2 AND p.ts > $3 AND p.ts < $4 AND ($5 >> p.kind::INT) & 1 = 1 ORDER BY p.ts LIMIT $6";
    PAGE_DOWN = "SELECT ", entry_columns!(), " FROM history.place p
        JOIN history.entry e ON e.stream = $1 AND e.epoch = p.epoch AND e.pos = p.pos
        WHERE p.buffer = $2 AND p.ts > $3 AND p.ts < $4 AND ($5 >> p.kind::INT) & 1 = 1 ORDER BY p.ts DESC LIMIT $6";
    BY_MSGID = "SELECT ", entry_columns!(), " FROM history.entry e WHERE e.stream = $1 AND e.msgid = $2";
    BY_POSITION = "SELECT ", entry_columns!(), " FROM history.entry e
        WHERE e.stream = $1 AND e.epoch = $2 AND e.pos = $3 AND e.msgid IS NULL";
    TARGETS = "SELECT t.name, t.latest FROM (SELECT b.name, (SELECT p.ts FROM history.place p WHERE p.buffer = b.id
        AND ($2 >> p.kind::INT) & 1 = 1 ORDER BY p.ts DESC LIMIT 1) AS latest FROM history.buffer b WHERE b.stream = $1) t
        WHERE t.latest > $3 AND t.latest < $4 ORDER BY t.latest LIMIT $5";
    SINCE = "SELECT ", entry_columns!(), " FROM history.entry e WHERE e.stream = $1 AND (e.epoch, e.pos) > ($2, $3)
        AND ($4 >> e.kind::INT) & 1 = 1 ORDER BY e.epoch, e.pos LIMIT $5";
    FIRST_SINCE_TIME = "SELECT p.epoch, p.pos FROM history.buffer b JOIN history.place p ON p.buffer = b.id
        WHERE b.stream = $1 AND p.ts > $2 ORDER BY p.epoch, p.pos LIMIT 1";
    LATEST_POSITION = "SELECT e.epoch, h.token, e.pos FROM history.entry e
        JOIN history.epoch h ON h.stream = e.stream AND h.epoch = e.epoch
        WHERE e.stream = $1 ORDER BY e.epoch DESC, e.pos DESC LIMIT 1";
    EXPORT = "SELECT ", entry_columns!(), ", e.buffers FROM history.entry e
        WHERE e.stream = $1 AND (e.epoch, e.pos) > ($2, $3) ORDER BY e.epoch, e.pos LIMIT $4";

    // Markers, cursors, counts.
    MARKER_SET = "INSERT INTO history.marker AS m (stream, buffer, ts) VALUES ($1, $2, $3)
        ON CONFLICT (stream, buffer) DO UPDATE SET ts = greatest(m.ts, excluded.ts) RETURNING ts";
    MARKERS = "SELECT buffer, ts FROM history.marker WHERE stream = $1 ORDER BY buffer";
    CURSOR_SET = "INSERT INTO history.cursor AS c (stream, device, epoch, token, pos, updated) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (stream, device) DO UPDATE SET epoch = excluded.epoch, token = excluded.token, pos = excluded.pos,
        updated = excluded.updated WHERE (excluded.epoch, excluded.pos) > (c.epoch, c.pos) OR NOT EXISTS
        (SELECT 1 FROM history.epoch h WHERE h.stream = c.stream AND h.epoch = c.epoch AND h.token = c.token)";
    CURSORS = "SELECT device, epoch, token, pos, updated FROM history.cursor WHERE stream = $1 ORDER BY device";
    CURSOR_DROP = "DELETE FROM history.cursor c USING history.stream s, history.account a
        WHERE c.stream = s.id AND s.account = a.id AND a.account = $1 AND c.device = $2";
    DAILY_OF = "SELECT d.day, d.entries FROM history.daily d JOIN history.account a ON a.id = d.account
        WHERE a.account = $1 AND d.day >= $2 ORDER BY d.day";

    // Searching. $1 the account's streams, $2 a buffer or NULL.
    SEARCH_WORDS = "SELECT ", entry_columns!(), ", e.buffers, e.stream FROM history.entry e WHERE ", search_filter!(), "
        AND e.tsv @@ to_tsquery('pg_catalog.simple', $7) AND e.words LIKE ALL ($8::TEXT[]) ", search_order!();
    SEARCH_PARTS = "SELECT ", entry_columns!(), ", e.buffers, e.stream FROM history.entry e WHERE ", search_filter!(), "
        AND e.words LIKE $7 AND e.words LIKE ALL ($8::TEXT[]) ", search_order!();
    SEARCH_ALL = "SELECT ", entry_columns!(), ", e.buffers, e.stream FROM history.entry e WHERE ", search_filter!(), "
        AND e.words IS NOT NULL ", search_order!();

    // Taking away.
    ENTRY_REDACT = "UPDATE history.entry SET body = '', meta = '', words = NULL, redacted = TRUE
        WHERE stream = $1 AND epoch = $2 AND pos = $3";
    PRUNE_STEP = "WITH gone AS (DELETE FROM history.entry e USING (SELECT DISTINCT p.epoch, p.pos FROM history.buffer b
        JOIN history.place p ON p.buffer = b.id WHERE b.stream = $1 AND p.ts < $2 LIMIT $3) o
        WHERE e.stream = $1 AND e.epoch = o.epoch AND e.pos = o.pos RETURNING e.epoch, e.pos, e.ts, e.buffers),
        places AS (DELETE FROM history.place p USING gone g WHERE p.buffer = ANY(g.buffers) AND p.ts = g.ts)
        SELECT epoch, pos FROM gone ORDER BY epoch DESC, pos DESC";
    PRUNE_NOTE = "UPDATE history.stream SET pruned_epoch = $2, pruned_pos = $3
        WHERE id = $1 AND (pruned_epoch, pruned_pos) < ($2, $3)";
    DELETE_FIND = "SELECT s.id FROM history.stream s JOIN history.account a ON a.id = s.account WHERE s.stream = $1 AND a.account = $2";
    DELETE_FIND_ALL = "SELECT s.stream FROM history.stream s JOIN history.account a ON a.id = s.account WHERE a.account = $1";
    DELETE_MARK = "UPDATE history.stream SET deleting = TRUE, epoch = epoch + 1, token = $2 WHERE id = $1";
    DELETE_STEP = "DELETE FROM history.entry e USING (SELECT epoch, pos FROM history.entry WHERE stream = $1 LIMIT $2) o
        WHERE e.stream = $1 AND e.epoch = o.epoch AND e.pos = o.pos";
    DELETE_PLACES = "DELETE FROM history.place WHERE buffer IN (SELECT id FROM history.buffer WHERE stream = $1)";
    DELETE_BUFFERS = "DELETE FROM history.buffer WHERE stream = $1";
    DELETE_MARKERS = "DELETE FROM history.marker WHERE stream = $1";
    DELETE_CURSORS = "DELETE FROM history.cursor WHERE stream = $1";
    DELETE_EPOCHS = "DELETE FROM history.epoch WHERE stream = $1";
    DELETE_STREAM = "DELETE FROM history.stream WHERE id = $1";
    DELETE_DAILY = "DELETE FROM history.daily WHERE account = (SELECT id FROM history.account WHERE account = $1)";
    DELETE_ACCOUNT = "DELETE FROM history.account a WHERE a.account = $1
        AND NOT EXISTS (SELECT 1 FROM history.stream s WHERE s.account = a.id)";
}
