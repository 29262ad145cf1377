CREATE TABLE auth_sessions (
    id BLOB NOT NULL PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,
    sub BLOB NOT NULL,
    sid TEXT,
    identity TEXT NOT NULL,
    id_token BLOB,
    refresh_token BLOB,
    refresh_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    address TEXT,
    agent TEXT
);
CREATE INDEX auth_sessions_sub ON auth_sessions (sub);
CREATE INDEX auth_sessions_sid ON auth_sessions (sid);
CREATE INDEX auth_sessions_revoked_at ON auth_sessions (revoked_at);
CREATE INDEX auth_sessions_expires_at ON auth_sessions (expires_at);
CREATE TABLE auth_logout_tokens (id_hash BLOB NOT NULL PRIMARY KEY, expires_at BIGINT NOT NULL);
CREATE TABLE auth_feed (name TEXT NOT NULL PRIMARY KEY, cursor BIGINT NOT NULL);
