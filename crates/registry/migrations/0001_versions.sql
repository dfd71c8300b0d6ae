-- One text for SQLite and PostgreSQL. It never changes; what is to be otherwise comes in a migration of its own.
CREATE TABLE catalogue_versions (
    number BIGINT NOT NULL PRIMARY KEY,
    in_force_from_ms BIGINT NOT NULL,
    -- The change that made it of the one before.
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    origin TEXT NOT NULL,
    revision TEXT NOT NULL,
    author TEXT NOT NULL,
    content_hash TEXT NOT NULL
);

CREATE INDEX catalogue_versions_in_force_from ON catalogue_versions (in_force_from_ms);
CREATE INDEX catalogue_versions_source ON catalogue_versions (source, number);

-- A file in one wording, and the versions that have it: from the first to the last, or to the newest where there is no last.
CREATE TABLE catalogue_files (
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    first_version BIGINT NOT NULL,
    last_version BIGINT,
    content TEXT NOT NULL,
    PRIMARY KEY (source, name, first_version)
);

CREATE INDEX catalogue_files_last_version ON catalogue_files (last_version);
