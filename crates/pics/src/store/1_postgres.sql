-- Raised by whoever checks a quota before writing, so that two of them for one account never run side by side.
CREATE TABLE pics_account (
    sub BYTEA PRIMARY KEY,
    writes BIGINT NOT NULL
);

-- Room taken before the bytes come.
CREATE TABLE reservation (
    id BYTEA PRIMARY KEY,
    sub BYTEA NOT NULL,
    bytes BIGINT NOT NULL,
    made_at BIGINT NOT NULL
);
CREATE INDEX reservation_sub ON reservation (sub);

-- A picture's bytes, once for all who have it. The id names its objects.
CREATE TABLE content (
    id BYTEA PRIMARY KEY,
    hash BYTEA NOT NULL UNIQUE,
    bytes BIGINT NOT NULL,
    told TEXT NOT NULL,
    views TEXT NOT NULL,
    refs BIGINT NOT NULL,
    made_at BIGINT NOT NULL
);

CREATE TABLE album (
    id TEXT PRIMARY KEY,
    sub BYTEA NOT NULL,
    title TEXT NOT NULL,
    made_at BIGINT NOT NULL
);
CREATE INDEX album_sub ON album (sub, made_at);

CREATE TABLE picture (
    id TEXT PRIMARY KEY,
    sub BYTEA NOT NULL,
    content BYTEA NOT NULL REFERENCES content (id),
    bytes BIGINT NOT NULL,
    name TEXT NOT NULL,
    caption TEXT NOT NULL,
    alt TEXT NOT NULL,
    album TEXT REFERENCES album (id) ON DELETE SET NULL,
    delete_hash BYTEA NOT NULL,
    made_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX picture_sub ON picture (sub, made_at);
CREATE INDEX picture_content ON picture (content);
CREATE INDEX picture_album ON picture (album);
CREATE INDEX picture_expires ON picture (expires_at);
