create or replace view flux.untracked_tables as
select
    flux.logical_name(recordable) as table_name,
    coalesce(
        flux.choice_against_tracking(recordable),
        flux.obstacle_to_tracking(recordable),
        flux.recorder_fault(recordable)
    ) as reason
from flux.recordable_tables() as recordable
where coalesce(
    flux.choice_against_tracking(recordable),
    flux.obstacle_to_tracking(recordable),
    flux.recorder_fault(recordable)
) is not null;

comment on view flux.untracked_tables is
    'Tables whose changes are not all recorded, and why: excluded, owned by another role, recorder stale or disabled.';
comment on column flux.untracked_tables.table_name is 'Schema and table, quoted where needed.';
comment on column flux.untracked_tables.reason is 'Why, in words; flux db migrate repairs what it can.';

grant select on flux.untracked_tables to flux_reader;
