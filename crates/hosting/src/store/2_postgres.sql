DROP TABLE hosting_answer;
CREATE TABLE answered (
    sub BYTEA NOT NULL,
    idempotency_key TEXT NOT NULL,
    request BYTEA NOT NULL,
    answer TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (sub, idempotency_key)
);
CREATE INDEX answered_at ON answered (at);
