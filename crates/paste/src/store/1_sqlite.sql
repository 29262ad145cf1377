CREATE TABLE paste_owner (
    owner BLOB PRIMARY KEY NOT NULL,
    writes BIGINT NOT NULL
);
CREATE TABLE paste (
    id TEXT PRIMARY KEY NOT NULL,
    owner BLOB NOT NULL,
    manage BLOB,
    title TEXT NOT NULL,
    language TEXT NOT NULL,
    body BLOB NOT NULL,
    size BIGINT NOT NULL,
    hash BLOB NOT NULL,
    seal TEXT NOT NULL,
    salt BLOB,
    burn BIGINT NOT NULL,
    parent TEXT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX paste_owner_created ON paste (owner, created_at);
CREATE INDEX paste_expires ON paste (expires_at);
CREATE INDEX paste_hash ON paste (hash);
CREATE TABLE paste_revision (
    paste TEXT NOT NULL REFERENCES paste (id) ON DELETE CASCADE,
    revision BIGINT NOT NULL,
    language TEXT NOT NULL,
    body BLOB NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (paste, revision)
);
CREATE TABLE paste_removed (
    id TEXT PRIMARY KEY NOT NULL,
    at BIGINT NOT NULL
);
