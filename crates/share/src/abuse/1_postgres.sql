CREATE TABLE abuse_report (
    id BYTEA PRIMARY KEY NOT NULL,
    thing TEXT NOT NULL,
    reporter BYTEA NOT NULL,
    reason TEXT NOT NULL,
    words TEXT NOT NULL,
    at BIGINT NOT NULL,
    settled_at BIGINT,
    settled_by BYTEA,
    verdict TEXT
);
CREATE UNIQUE INDEX abuse_report_once ON abuse_report (thing, reporter);
CREATE INDEX abuse_report_open ON abuse_report (settled_at, at);
CREATE TABLE abuse_blocked (
    hash BYTEA PRIMARY KEY NOT NULL,
    reason TEXT NOT NULL,
    blocked_by BYTEA NOT NULL,
    at BIGINT NOT NULL
);
