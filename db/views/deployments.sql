create or replace view flux.deployments as
select
    stored.version,
    coalesce(latest.id = last_one.id, false) as is_active,
    stored.code_sha,
    latest.activated_at,
    latest.activated_by,
    latest.note,
    stored.stored_at,
    stored.stored_by,
    stored.project,
    stored.files,
    cardinality(stored.functions) as functions,
    octet_length(stored.bundle) as bytes,
    (
        select count(*)
        from pg_catalog.pg_stat_activity as worker
        where worker.datname = current_database()
            and worker.application_name ~ ('^flux worker v' || stored.version || '( |$)')
    ) as workers,
    stored.content_sha
from flux.stored_deployments as stored
cross join (select max(activation.id) as id from flux.activations as activation) as last_one
left join lateral (
    select activation.*
    from flux.activations as activation
    where activation.version = stored.version
    order by activation.id desc
    limit 1
) as latest on true;

comment on view flux.deployments is
    'The versions of the project''s functions, which one is active, and how many workers serve each: select * from flux.deployments order by version desc.';
comment on column flux.deployments.version is 'Numbered from 1 without gaps.';
comment on column flux.deployments.is_active is 'Whether it is the one to run.';
comment on column flux.deployments.code_sha is 'The code: git commit, with + and a content hash when the tree was dirty, or the hash alone.';
comment on column flux.deployments.activated_at is 'When it became the one to run, the last time.';
comment on column flux.deployments.activated_by is 'Who made it so: user@machine.';
comment on column flux.deployments.note is 'Why, in their words.';
comment on column flux.deployments.stored_at is 'When it was deployed for the first time.';
comment on column flux.deployments.stored_by is 'Who deployed it then.';
comment on column flux.deployments.project is 'The project''s name in its flux.toml.';
comment on column flux.deployments.files is 'How many files it holds.';
comment on column flux.deployments.functions is 'How many functions it declares.';
comment on column flux.deployments.bytes is 'Size of the compressed bundle.';
comment on column flux.deployments.workers is 'Worker processes that follow this database and serve this version right now.';
comment on column flux.deployments.content_sha is 'SHA-256 of the uncompressed bundle.';

grant select on flux.deployments to flux_reader;
