//! The tables. Times are whole seconds since 1970 UTC (identity needs no finer), ids are 16 bytes, yes and no are 1 and 0.
//! What is a secret of enough random bits is kept as its SHA-256; what must be read back is sealed.

use service::db::Migration;

macro_rules! first {
    ($blob:literal) => {
        concat!(
            "CREATE TABLE accounts (
                sub ",
            $blob,
            " PRIMARY KEY,
                username TEXT NOT NULL UNIQUE,
                email TEXT,
                email_verified BIGINT NOT NULL DEFAULT 0,
                password TEXT,
                status TEXT NOT NULL,
                plan TEXT NOT NULL,
                overrides TEXT NOT NULL DEFAULT '{}',
                over_limit_until BIGINT,
                admin BIGINT NOT NULL DEFAULT 0,
                version BIGINT NOT NULL DEFAULT 1,
                created_at BIGINT NOT NULL,
                scram_salt ",
            $blob,
            " NOT NULL,
                scram_iterations BIGINT NOT NULL,
                totp ",
            $blob,
            ",
                totp_step BIGINT NOT NULL DEFAULT 0,
                upstream_issuer TEXT,
                upstream_sub TEXT,
                UNIQUE (upstream_issuer, upstream_sub)
            );
            CREATE INDEX accounts_by_email ON accounts (email);
            CREATE TABLE kept_keys (name TEXT PRIMARY KEY, sealed ",
            $blob,
            " NOT NULL);
            CREATE TABLE former_names (hash ",
            $blob,
            " PRIMARY KEY);
            CREATE TABLE recovery_codes (
                sub ",
            $blob,
            " NOT NULL REFERENCES accounts (sub) ON DELETE CASCADE,
                hash ",
            $blob,
            " NOT NULL,
                PRIMARY KEY (sub, hash)
            );
            CREATE TABLE credentials (
                id ",
            $blob,
            " PRIMARY KEY,
                sub ",
            $blob,
            " NOT NULL REFERENCES accounts (sub) ON DELETE CASCADE,
                kind TEXT NOT NULL,
                name TEXT NOT NULL,
                lookup ",
            $blob,
            " NOT NULL UNIQUE,
                stored_key ",
            $blob,
            ",
                server_key ",
            $blob,
            ",
                scopes TEXT NOT NULL,
                created_at BIGINT NOT NULL,
                last_used_at BIGINT,
                last_used_client TEXT
            );
            CREATE INDEX credentials_by_sub ON credentials (sub);
            CREATE TABLE sessions (
                hash ",
            $blob,
            " PRIMARY KEY,
                sid TEXT NOT NULL UNIQUE,
                sub ",
            $blob,
            " NOT NULL REFERENCES accounts (sub) ON DELETE CASCADE,
                auth_time BIGINT NOT NULL,
                seen_at BIGINT NOT NULL,
                expires_at BIGINT NOT NULL,
                address TEXT,
                agent TEXT,
                upstream_sid TEXT,
                upstream_id_token ",
            $blob,
            "
            );
            CREATE INDEX sessions_by_sub ON sessions (sub);
            CREATE INDEX sessions_by_upstream ON sessions (upstream_sid);
            CREATE TABLE session_clients (
                sid TEXT NOT NULL REFERENCES sessions (sid) ON DELETE CASCADE,
                client TEXT NOT NULL,
                PRIMARY KEY (sid, client)
            );
            CREATE TABLE codes (
                hash ",
            $blob,
            " PRIMARY KEY,
                client TEXT NOT NULL,
                redirect_uri TEXT NOT NULL,
                sub ",
            $blob,
            " NOT NULL REFERENCES accounts (sub) ON DELETE CASCADE,
                sid TEXT NOT NULL,
                scope TEXT NOT NULL,
                nonce TEXT,
                challenge TEXT NOT NULL,
                auth_time BIGINT NOT NULL,
                expires_at BIGINT NOT NULL,
                used BIGINT NOT NULL DEFAULT 0
            );
            CREATE TABLE refresh_tokens (
                hash ",
            $blob,
            " PRIMARY KEY,
                sub ",
            $blob,
            " NOT NULL REFERENCES accounts (sub) ON DELETE CASCADE,
                sid TEXT NOT NULL,
                client TEXT NOT NULL,
                scope TEXT NOT NULL,
                auth_time BIGINT NOT NULL,
                expires_at BIGINT NOT NULL,
                used_at BIGINT
            );
            CREATE INDEX refresh_tokens_by_sid ON refresh_tokens (sid);
            CREATE TABLE signing_keys (
                kid TEXT PRIMARY KEY,
                sealed ",
            $blob,
            " NOT NULL,
                signs_from BIGINT NOT NULL,
                signs_until BIGINT NOT NULL,
                gone_at BIGINT NOT NULL
            );
            CREATE TABLE security_events (
                id ",
            $blob,
            " PRIMARY KEY,
                sub ",
            $blob,
            " NOT NULL REFERENCES accounts (sub) ON DELETE CASCADE,
                at BIGINT NOT NULL,
                kind TEXT NOT NULL,
                text TEXT NOT NULL,
                address TEXT
            );
            CREATE INDEX security_events_by_sub ON security_events (sub, id);
            CREATE TABLE invitations (
                hash ",
            $blob,
            " PRIMARY KEY,
                created_at BIGINT NOT NULL,
                expires_at BIGINT NOT NULL,
                uses_left BIGINT NOT NULL
            );
            CREATE TABLE mail_tokens (
                hash ",
            $blob,
            " PRIMARY KEY,
                sub ",
            $blob,
            " NOT NULL REFERENCES accounts (sub) ON DELETE CASCADE,
                purpose TEXT NOT NULL,
                email TEXT NOT NULL,
                expires_at BIGINT NOT NULL
            );
            CREATE TABLE attempts (
                key ",
            $blob,
            " PRIMARY KEY,
                failures BIGINT NOT NULL,
                last_at BIGINT NOT NULL,
                blocked_until BIGINT NOT NULL
            );
            CREATE TABLE logout_outbox (
                id ",
            $blob,
            " PRIMARY KEY,
                client TEXT NOT NULL,
                sub ",
            $blob,
            " NOT NULL,
                sid TEXT NOT NULL,
                tries BIGINT NOT NULL DEFAULT 0,
                next_at BIGINT NOT NULL
            );
            CREATE TABLE used_logout_tokens (jti TEXT PRIMARY KEY, gone_at BIGINT NOT NULL);
            CREATE TABLE deletions (
                sub ",
            $blob,
            " PRIMARY KEY,
                asked_at BIGINT NOT NULL
            );
            CREATE TABLE deletion_confirmations (
                sub ",
            $blob,
            " NOT NULL REFERENCES deletions (sub) ON DELETE CASCADE,
                service TEXT NOT NULL,
                PRIMARY KEY (sub, service)
            );
            CREATE TABLE answers (
                sub ",
            $blob,
            " NOT NULL,
                key TEXT NOT NULL,
                method TEXT NOT NULL,
                sealed ",
            $blob,
            " NOT NULL,
                at BIGINT NOT NULL,
                PRIMARY KEY (sub, key)
            );
            CREATE TABLE feed_head (id BIGINT PRIMARY KEY, cursor BIGINT NOT NULL, forgotten BIGINT NOT NULL);
            INSERT INTO feed_head (id, cursor, forgotten) VALUES (1, 0, 0);
            CREATE TABLE feed (
                cursor BIGINT PRIMARY KEY,
                at BIGINT NOT NULL,
                kind TEXT NOT NULL,
                sub ",
            $blob,
            " NOT NULL,
                detail TEXT NOT NULL DEFAULT ''
            );
            CREATE INDEX feed_by_sub ON feed (sub);"
        )
    };
}

macro_rules! irc_servers {
    ($blob:literal) => {
        concat!(
            "CREATE TABLE irc_servers (
                id TEXT PRIMARY KEY,
                owner ",
            $blob,
            " NOT NULL REFERENCES accounts (sub) ON DELETE CASCADE,
                access TEXT NOT NULL,
                created_at BIGINT NOT NULL
            );
            CREATE INDEX irc_servers_by_owner ON irc_servers (owner);
            CREATE TABLE irc_server_members (
                server TEXT NOT NULL REFERENCES irc_servers (id) ON DELETE CASCADE,
                sub ",
            $blob,
            " NOT NULL REFERENCES accounts (sub) ON DELETE CASCADE,
                PRIMARY KEY (server, sub)
            );
            CREATE INDEX irc_server_members_by_sub ON irc_server_members (sub);"
        )
    };
}

/// Every change of the tables, the oldest first.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "identity", sqlite: first!("BLOB"), postgres: first!("BYTEA") },
    Migration {
        version: 2,
        name: "irc servers",
        sqlite: irc_servers!("BLOB"),
        postgres: irc_servers!("BYTEA"),
    },
];
