-- Deployments: the code itself, and which of it was the one to run, and when. A bundle is compressed already, so it is
-- stored as it is, out of the row.

create table flux.stored_deployments (
    version      integer     not null primary key,
    code_sha     text        not null,
    content_sha  text        not null,
    bundle       bytea       not null,
    project      text        not null,
    files        integer     not null,
    functions    text[]      not null,
    stored_at    timestamptz not null default clock_timestamp(),
    stored_by    text        not null,
    unique (content_sha, code_sha),
    constraint version_from_one check (version > 0),
    constraint content_sha_is_sha256 check (content_sha ~ '^[0-9a-f]{64}$')
);

alter table flux.stored_deployments
    alter column bundle set storage external;

create index stored_deployments_by_code on flux.stored_deployments (code_sha text_pattern_ops);

comment on table flux.stored_deployments is
    'One row a version of the project''s functions: the code that any gateway can serve and any replay can run.';
comment on column flux.stored_deployments.version is 'Numbered from 1 without gaps.';
comment on column flux.stored_deployments.code_sha is 'The git commit, with + and a content hash when the tree was dirty, or the hash alone.';
comment on column flux.stored_deployments.content_sha is 'SHA-256 of the uncompressed bundle: the same files give the same.';
comment on column flux.stored_deployments.bundle is 'The project''s files as a tar archive, compressed with gzip; no secrets in it.';
comment on column flux.stored_deployments.project is 'The project''s name in its flux.toml.';
comment on column flux.stored_deployments.files is 'How many files it holds.';
comment on column flux.stored_deployments.functions is 'Names of the functions it declared when it was checked.';
comment on column flux.stored_deployments.stored_at is 'When it was deployed for the first time.';
comment on column flux.stored_deployments.stored_by is 'Who deployed it: user@machine.';

create table flux.activations (
    id            bigint      generated always as identity primary key,
    version       integer     not null references flux.stored_deployments,
    kind          text        not null,
    previous_id   bigint      references flux.activations,
    activated_at  timestamptz not null default clock_timestamp(),
    activated_by  text        not null,
    note          text,
    constraint kind_is_known check (kind in ('deploy', 'rollback'))
);

create index activations_by_version on flux.activations (version, id);

comment on table flux.activations is
    'One row each time a version became the one to run, by flux deploy or flux rollback; the last row says which one runs.';
comment on column flux.activations.id is 'In the order in which they happened.';
comment on column flux.activations.version is 'The version that runs from then on.';
comment on column flux.activations.kind is 'deploy or rollback.';
comment on column flux.activations.previous_id is 'The activation to which flux rollback would go back from this one; null when there is none.';
comment on column flux.activations.activated_at is 'When.';
comment on column flux.activations.activated_by is 'Who: user@machine.';
comment on column flux.activations.note is 'Why, in the words of who did it.';

revoke all on flux.stored_deployments, flux.activations from public;
