create or replace view flux.policy_objects as
with governed as (
    select distinct policy.polrelid as oid
    from pg_catalog.pg_policy as policy
    where obj_description(policy.oid, 'pg_policy') like 'Made by Flux%'
)

select
    format('policy %I on %s', policy.polname, policy.polrelid::regclass) as object,
    concat_ws(
        ' ',
        case when policy.polpermissive then 'permissive' else 'restrictive' end,
        case policy.polcmd
            when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all'
        end,
        'to',
        (
            select string_agg(case when member = 0 then 'public' else member::regrole::text end, ', ' order by member)
            from unnest(policy.polroles) as member
        ),
        'using (' || pg_get_expr(policy.polqual, policy.polrelid) || ')',
        'with check (' || pg_get_expr(policy.polwithcheck, policy.polrelid) || ')'
    ) as definition
from governed
inner join pg_catalog.pg_policy as policy on governed.oid = policy.polrelid

union all

select
    'row level security of ' || governed.oid::regclass,
    case when class.relrowsecurity then 'on' else 'off' end
from governed
inner join pg_catalog.pg_class as class on governed.oid = class.oid

union all

select
    'view ' || class.oid::regclass,
    concat_ws(' ', class.relowner::regrole, class.reloptions, pg_get_viewdef(class.oid))
from pg_catalog.pg_class as class
inner join pg_catalog.pg_namespace as namespace on class.relnamespace = namespace.oid
where namespace.nspname like 'flux\_role\_%'
    and class.relkind = 'v'

union all

select
    format('rights of %I on %s', granted.role, granted.object),
    array_to_string(granted.privileges, ', ')
from flux.policy_grants as granted

union all

select
    'rights of everybody on table ' || governed.oid::regclass,
    string_agg(lower(acl.privilege_type), ', ' order by acl.privilege_type)
from governed
inner join lateral (
    select class.relacl as list
    from pg_catalog.pg_class as class
    where class.oid = governed.oid
    union all
    select attribute.attacl
    from pg_catalog.pg_attribute as attribute
    where attribute.attrelid = governed.oid
) as granted on true
cross join lateral pg_catalog.aclexplode(granted.list) as acl
where acl.grantee = 0
group by governed.oid

union all

select
    format('membership of %I', member.rolname),
    string_agg(granted.rolname, ', ' order by granted.rolname collate "C")
from pg_catalog.pg_auth_members as membership
inner join pg_catalog.pg_roles as member on membership.member = member.oid
inner join pg_catalog.pg_roles as granted on membership.roleid = granted.oid
where member.rolname like 'flux\_role\_%'
    and exists (select from flux.policy_grants as rights where rights.role = member.rolname)
group by member.rolname;

comment on view flux.policy_objects is
    'Everything in this database that enforces the policies, as Postgres prints it: what differs from when it was made is drift.';
comment on column flux.policy_objects.object is 'What it is.';
comment on column flux.policy_objects.definition is 'How Postgres prints it now.';

grant select on flux.policy_objects to flux_reader;
