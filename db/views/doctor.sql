create or replace view flux.doctor as
with tables as (
    select
        flux.logical_name(recordable) as name,
        flux.choice_against_tracking(recordable) as choice,
        -- Who owns a table matters only when its recorder is to be made, and then to the role that makes it.
        case
            when flux.recorder_fault(recordable) is not null
                then coalesce(flux.obstacle_to_tracking(recordable), flux.recorder_fault(recordable))
        end as fault
    from flux.recordable_tables() as recordable
),

governed as (
    select distinct policy.polrelid as oid
    from pg_catalog.pg_policy as policy
    where obj_description(policy.oid, 'pg_policy') like 'Made by Flux%'
),

partitions as (
    select max(substring(part.inhrelid::regclass::text from '(\d{4}_\d\d_\d\d)"?$')) as last_day
    from pg_catalog.pg_inherits as part
    where part.inhparent = 'flux.trace_requests'::regclass
)

select
    'tracking' as subject,
    case
        when count(*) = 0 then 'note'
        when count(*) filter (where tables.choice is null and tables.fault is not null) > 0 then 'problem'
        else 'ok'
    end as state,
    case
        when count(*) = 0 then 'there are no tables to record yet'
        else format(
            '%s of %s tables are recorded',
            count(*) filter (where tables.choice is null and tables.fault is null), count(*)
        )
    end as finding,
    null as hint
from tables

union all

select
    'tracking',
    case when tables.choice is null then 'problem' else 'note' end,
    format('%s is not recorded: %s', flux.short_table(tables.name), coalesce(tables.choice, tables.fault)),
    case when tables.choice is null then format('Run `flux db track %s`.', flux.short_table(tables.name)) end
from tables
where coalesce(tables.choice, tables.fault) is not null

union all

select
    'new tables',
    'note',
    'tables made from now on are recorded from the next `flux db migrate` on, not at once: event triggers need a superuser',
    null
where not exists (select from pg_catalog.pg_event_trigger where evtname like '%flux%' and evtenabled <> 'D')

union all

select
    'hooks',
    'problem',
    format('%s does not run after writes: %s', hook.subscriber, hook.fault),
    'Mend it, then run `flux db migrate`.'
from flux.subscribers as hook
where hook.fault is not null

union all

select
    'policies',
    'ok',
    format(
        '%s of %s tables have policies, for %s',
        count(distinct shown.table_name),
        (select count(*) from tables),
        string_agg(distinct shown.role, ', ')
    ),
    null
from flux.policies as shown
having count(*) > 0

union all

select distinct
    'policies',
    'note',
    format(
        '%s has rights on %s, which has policies, and none of its own: it meets no rows there',
        acl.grantee::regrole, flux.short_table(flux.logical_name(governed.oid))
    ),
    'Write a policy for it in a migration.'
from governed
inner join pg_catalog.pg_class as class on governed.oid = class.oid
cross join lateral pg_catalog.aclexplode(class.relacl) as acl
inner join pg_catalog.pg_roles as other on acl.grantee = other.oid
where acl.grantee <> class.relowner
    and other.rolname not like 'flux\_%'
    and not (other.rolsuper or other.rolbypassrls)
    and not exists (
        select
        from pg_catalog.pg_policy as policy
        where policy.polrelid = governed.oid
            and policy.polroles && array[other.oid, 0::oid]
    )

union all

select
    'partitions',
    case when to_date(partitions.last_day, 'YYYY_MM_DD') > current_date then 'ok' else 'problem' end,
    coalesce(
        'days are made up to ' || to_date(partitions.last_day, 'YYYY_MM_DD')::text,
        'no days are made: all records go to the default partition'
    ),
    case
        when to_date(partitions.last_day, 'YYYY_MM_DD') > current_date then null
        else 'Run `flux db migrate`.'
    end
from partitions

union all

select
    'durability',
    'problem',
    format('%s is off: a crash of the server may lose what was committed, records too', setting.name),
    format('Set it on: alter system set %s = on.', setting.name)
from pg_catalog.pg_settings as setting
where setting.name in ('fsync', 'full_page_writes')
    and setting.setting = 'off'

union all

select
    'records',
    'ok',
    case
        when latest.started_at is null then 'no request is recorded yet'
        else format('the last request was recorded at %s', to_char(latest.started_at, 'YYYY-MM-DD HH24:MI:SS'))
    end,
    null
from (
    select max(request.started_at) as started_at
    from flux.trace_requests as request
    where request.kind <> 'replay'
) as latest;

comment on view flux.doctor is
    'What is well and what is not in this database: tables not recorded, partitions, durability; state is ok, note or problem.';
comment on column flux.doctor.subject is 'What was looked at.';
comment on column flux.doctor.state is 'ok, note (on purpose, but worth knowing), or problem.';
comment on column flux.doctor.finding is 'What was found.';
comment on column flux.doctor.hint is 'What to do.';

grant select on flux.doctor to flux_reader;
