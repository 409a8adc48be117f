-- The catalog of a lake, version 3 (PRAGMA user_version). Times are UTC nanoseconds, except `removed.at`.

-- Who records a shard of the event log, and how far it has come.
CREATE TABLE shards (
    shard     INTEGER PRIMARY KEY,
    epoch     INTEGER NOT NULL,
    holder    TEXT    NOT NULL,
    watermark INTEGER NOT NULL
) STRICT;

-- Sessions that had not ended at their shard's watermark.
CREATE TABLE open_sessions (
    shard      INTEGER NOT NULL REFERENCES shards (shard),
    session_id BLOB    NOT NULL,
    state      BLOB    NOT NULL,
    PRIMARY KEY (shard, session_id)
) STRICT;

-- The lake's files.
CREATE TABLE files (
    id         INTEGER PRIMARY KEY,
    path       TEXT    NOT NULL UNIQUE,
    table_name TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    hour       INTEGER NOT NULL,
    level      INTEGER NOT NULL,
    rows       INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    sha256     TEXT    NOT NULL,
    min_at     INTEGER NOT NULL,
    max_at     INTEGER NOT NULL,
    unsettled  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX files_by_time ON files (table_name, max_at, min_at);
CREATE INDEX files_by_window ON files (table_name, target, hour);
CREATE INDEX files_by_level ON files (level);

-- Which files of `touches` hold a relation, per operation; and which of `transactions` a gid, per kind.
CREATE TABLE file_relations (
    relation  TEXT    NOT NULL,
    operation TEXT    NOT NULL,
    min_at    INTEGER NOT NULL,
    max_at    INTEGER NOT NULL,
    file      INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    PRIMARY KEY (relation, operation, min_at, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_relations_by_file ON file_relations (file);

-- Which files hold rows of a session.
CREATE TABLE file_sessions (
    session_id BLOB    NOT NULL,
    file       INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    PRIMARY KEY (session_id, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_sessions_by_file ON file_sessions (file);

-- When transactions ended that files of `touches` and `transactions` tell of, and sessions with gaps that files of `sessions` do:
-- by minute, the earliest start of one. A file from before this was kept has the minute -1 (of `sessions` the last one that there
-- is), and a start that is early enough.
CREATE TABLE file_ends (
    minute     INTEGER NOT NULL,
    file       INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    started_at INTEGER NOT NULL,
    PRIMARY KEY (minute, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_ends_by_file ON file_ends (file, started_at);

-- Files that left the lake; readers of older snapshots may still need them. `at` is in Unix milliseconds.
CREATE TABLE removed (
    path TEXT    PRIMARY KEY,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
