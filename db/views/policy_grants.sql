create or replace view flux.policy_grants as
with members as (
    select
        role.oid,
        role.rolname
    from pg_catalog.pg_roles as role
    where role.rolname ~ '^flux_(role|mask)_'
),

entries as (
    select
        case class.relkind when 'S' then 'sequence ' else 'table ' end || class.oid::regclass as object,
        class.oid::regclass::text as relation,
        acl.grantee,
        lower(acl.privilege_type) as privilege
    from pg_catalog.pg_class as class
    cross join lateral pg_catalog.aclexplode(class.relacl) as acl
    where class.relowner <> acl.grantee

    union all

    select
        'table ' || attribute.attrelid::regclass,
        class.oid::regclass::text,
        acl.grantee,
        format('%s (%I)', lower(acl.privilege_type), attribute.attname)
    from pg_catalog.pg_attribute as attribute
    inner join pg_catalog.pg_class as class on attribute.attrelid = class.oid
    cross join lateral pg_catalog.aclexplode(attribute.attacl) as acl
    where not attribute.attisdropped
        and class.relowner <> acl.grantee

    union all

    select
        'schema ' || quote_ident(namespace.nspname),
        null,
        acl.grantee,
        lower(acl.privilege_type)
    from pg_catalog.pg_namespace as namespace
    cross join lateral pg_catalog.aclexplode(namespace.nspacl) as acl
)

select
    entries.object,
    entries.relation,
    members.rolname as role,
    array_agg(entries.privilege order by entries.privilege collate "C") as privileges
from entries
inner join members on entries.grantee = members.oid
group by entries.object, entries.relation, members.rolname;

comment on view flux.policy_grants is
    'What the roles of db/policies.toml were granted on tables, columns, sequences and schemas of this database.';
comment on column flux.policy_grants.object is 'The kind of object and its name, fit for grant and revoke.';
comment on column flux.policy_grants.relation is 'The name alone of a table, view or sequence.';
comment on column flux.policy_grants.role is 'The Postgres role: flux_role_…, or flux_mask_… for the owner of the views that mask.';
comment on column flux.policy_grants.privileges is 'The privileges, with the column where it is for one.';

grant select on flux.policy_grants to flux_reader;
