//! Append, page, prune and search messages; SQLite with FTS5 and PostgreSQL with tsvector behind one store.
