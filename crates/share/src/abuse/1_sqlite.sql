CREATE TABLE abuse_report (
    id BLOB PRIMARY KEY NOT NULL,
    thing TEXT NOT NULL,
    reporter BLOB NOT NULL,
    reason TEXT NOT NULL,
    words TEXT NOT NULL,
    at BIGINT NOT NULL,
    settled_at BIGINT,
    settled_by BLOB,
    verdict TEXT
);
CREATE UNIQUE INDEX abuse_report_once ON abuse_report (thing, reporter);
CREATE INDEX abuse_report_open ON abuse_report (settled_at, at);
CREATE TABLE abuse_blocked (
    hash BLOB PRIMARY KEY NOT NULL,
    reason TEXT NOT NULL,
    blocked_by BLOB NOT NULL,
    at BIGINT NOT NULL
);
