//! The tables. Ids are 16 bytes, times microseconds since 1970 UTC, booleans 0 and 1.

use service::db::Migration;

const FIRST_SQLITE: &str = "
CREATE TABLE bouncer_user (
    sub BLOB PRIMARY KEY NOT NULL,
    account TEXT NOT NULL,
    account_version BIGINT NOT NULL,
    writes BIGINT NOT NULL DEFAULT 0,
    first_seen BIGINT NOT NULL
);
CREATE TABLE network (
    id BLOB PRIMARY KEY NOT NULL,
    sub BLOB NOT NULL REFERENCES bouncer_user (sub) ON DELETE CASCADE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    spec TEXT NOT NULL,
    sealed BLOB NOT NULL,
    enabled BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX network_name ON network (sub, name_key) WHERE deleted_at IS NULL;
CREATE INDEX network_deleted ON network (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE TABLE saved_channel (
    network BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    sealed_key BLOB,
    PRIMARY KEY (network, position)
);
CREATE TABLE device (
    id BLOB PRIMARY KEY NOT NULL,
    sub BLOB NOT NULL REFERENCES bouncer_user (sub) ON DELETE CASCADE,
    credential BLOB NOT NULL,
    client TEXT NOT NULL,
    software TEXT,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    UNIQUE (sub, credential, client)
);
CREATE TABLE device_cursor (
    device BLOB NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    network BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    epoch BIGINT NOT NULL,
    position BIGINT NOT NULL,
    ts_ms BIGINT NOT NULL,
    PRIMARY KEY (device, network)
);
CREATE TABLE sts_policy (
    sub BLOB NOT NULL REFERENCES bouncer_user (sub) ON DELETE CASCADE,
    host TEXT NOT NULL,
    port BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (sub, host)
);
CREATE TABLE answered (
    sub BLOB NOT NULL REFERENCES bouncer_user (sub) ON DELETE CASCADE,
    idempotency_key TEXT NOT NULL,
    request BLOB NOT NULL,
    answer TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (sub, idempotency_key)
);
CREATE INDEX answered_at ON answered (at);
CREATE TABLE feed (
    id BIGINT PRIMARY KEY NOT NULL,
    position BIGINT NOT NULL
);
";

const FIRST_POSTGRES: &str = "
CREATE TABLE bouncer_user (
    sub BYTEA PRIMARY KEY,
    account TEXT NOT NULL,
    account_version BIGINT NOT NULL,
    writes BIGINT NOT NULL DEFAULT 0,
    first_seen BIGINT NOT NULL
);
CREATE TABLE network (
    id BYTEA PRIMARY KEY,
    sub BYTEA NOT NULL REFERENCES bouncer_user (sub) ON DELETE CASCADE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    spec TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    enabled BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX network_name ON network (sub, name_key) WHERE deleted_at IS NULL;
CREATE INDEX network_deleted ON network (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE TABLE saved_channel (
    network BYTEA NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    sealed_key BYTEA,
    PRIMARY KEY (network, position)
);
CREATE TABLE device (
    id BYTEA PRIMARY KEY,
    sub BYTEA NOT NULL REFERENCES bouncer_user (sub) ON DELETE CASCADE,
    credential BYTEA NOT NULL,
    client TEXT NOT NULL,
    software TEXT,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    UNIQUE (sub, credential, client)
);
CREATE TABLE device_cursor (
    device BYTEA NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    network BYTEA NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    epoch BIGINT NOT NULL,
    position BIGINT NOT NULL,
    ts_ms BIGINT NOT NULL,
    PRIMARY KEY (device, network)
);
CREATE TABLE sts_policy (
    sub BYTEA NOT NULL REFERENCES bouncer_user (sub) ON DELETE CASCADE,
    host TEXT NOT NULL,
    port BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (sub, host)
);
CREATE TABLE answered (
    sub BYTEA NOT NULL REFERENCES bouncer_user (sub) ON DELETE CASCADE,
    idempotency_key TEXT NOT NULL,
    request BYTEA NOT NULL,
    answer TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (sub, idempotency_key)
);
CREATE INDEX answered_at ON answered (at);
CREATE TABLE feed (
    id BIGINT PRIMARY KEY,
    position BIGINT NOT NULL
);
";

/// Every migration, oldest first. They only add.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "networks, channels, devices, cursors",
    sqlite: FIRST_SQLITE,
    postgres: FIRST_POSTGRES,
}];
