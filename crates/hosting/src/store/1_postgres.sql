CREATE TABLE hosting_account (
    sub BYTEA PRIMARY KEY NOT NULL,
    writes BIGINT NOT NULL
);
CREATE TABLE hosted_network (
    id BYTEA PRIMARY KEY NOT NULL,
    sub BYTEA NOT NULL,
    label TEXT NOT NULL,
    kept TEXT NOT NULL,
    suspended BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX hosted_network_label ON hosted_network (label);
CREATE INDEX hosted_network_sub ON hosted_network (sub);
CREATE TABLE hosting_answer (
    sub BYTEA NOT NULL,
    idempotency_key TEXT NOT NULL,
    request BYTEA NOT NULL,
    network BYTEA NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (sub, idempotency_key)
);
CREATE INDEX hosting_answer_at ON hosting_answer (at);
