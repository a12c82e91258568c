create or replace view flux.policies as
with governed as (
    select distinct
        regexp_replace(granted.role, '^flux_(role|mask)_', '') as role,
        class.oid,
        class.relrowsecurity
    from flux.policy_grants as granted
    inner join pg_catalog.pg_class as class on granted.object = 'table ' || class.oid::regclass
    where class.relnamespace::regnamespace::text not like 'flux\_role\_%'
),

rights as (
    select
        governed.*,
        operation.name as operation,
        operation.place,
        case
            when operation.name = 'delete' then has_table_privilege('flux_role_' || governed.role, governed.oid, 'delete')
            else has_any_column_privilege('flux_role_' || governed.role, governed.oid, operation.name)
        end as is_granted,
        to_regclass(format('%I.%I', 'flux_role_' || governed.role, class.relname)) as view
    from governed
    inner join pg_catalog.pg_class as class on governed.oid = class.oid
    cross join unnest(array['select', 'insert', 'update', 'delete']) with ordinality as operation (name, place)
)

select
    rights.role,
    flux.logical_name(rights.oid) as table_name,
    rights.operation,
    case
        when rights.operation <> 'delete' then array(
            select attribute.attname::text
            from pg_catalog.pg_attribute as attribute
            where attribute.attrelid = rights.oid
                and attribute.attnum > 0
                and not attribute.attisdropped
                and (
                    has_column_privilege('flux_role_' || rights.role, rights.oid, attribute.attnum, rights.operation)
                    or rights.operation = 'select' and coalesce(masked.names, '{}') ? attribute.attname
                )
            order by attribute.attnum
        )
    end as columns,
    case
        when rights.operation <> 'delete' then array(
            select attribute.attname::text
            from pg_catalog.pg_attribute as attribute
            where attribute.attrelid = rights.oid
                and attribute.attnum > 0
                and not attribute.attisdropped
                and not has_column_privilege('flux_role_' || rights.role, rights.oid, attribute.attnum, rights.operation)
                and not (rights.operation = 'select' and coalesce(masked.names, '{}') ? attribute.attname)
            order by attribute.attnum
        )
    end as hidden,
    case when rights.operation = 'select' then masked.names end as masks,
    case when rights.relrowsecurity then flux.claims_shown(shown.row_condition) end as row_condition,
    case when rights.relrowsecurity then flux.claims_shown(shown.row_check) end as row_check
from rights
left join lateral (
    select
        string_agg(pg_get_expr(policy.polqual, policy.polrelid), ' or ') as row_condition,
        string_agg(pg_get_expr(policy.polwithcheck, policy.polrelid), ' or ') as row_check
    from pg_catalog.pg_policy as policy
    where policy.polrelid = rights.oid
        and policy.polpermissive
        and policy.polcmd::text in (
            '*',
            case rights.operation when 'select' then 'r' when 'insert' then 'a' when 'update' then 'w' else 'd' end
        )
        and policy.polroles && array[('flux_role_' || rights.role)::regrole::oid, 0::oid]
) as shown on true
left join lateral (
    select jsonb_object_agg(attribute.attname, col_description(rights.view, attribute.attnum)) as names
    from pg_catalog.pg_attribute as attribute
    where attribute.attrelid = rights.view
        and attribute.attnum > 0
        and has_column_privilege('flux_role_' || rights.role, rights.view, attribute.attnum, 'select')
        and col_description(rights.view, attribute.attnum) is not null
) as masked on true
where rights.is_granted
    or masked.names is not null and rights.operation = 'select'
order by rights.role, flux.logical_name(rights.oid), rights.place;

comment on view flux.policies is
    'What each role of db/policies.toml may do with each table, as Postgres enforces it now. What is not here, the role may not do.';
comment on column flux.policies.role is 'The role, without the prefix flux_role_ of its Postgres role.';
comment on column flux.policies.table_name is 'Schema and table, quoted where needed.';
comment on column flux.policies.operation is 'select, insert, update or delete.';
comment on column flux.policies.columns is 'The columns it may read or write; null for delete.';
comment on column flux.policies.hidden is 'The other columns of the table.';
comment on column flux.policies.masks is 'For select: what the role reads in place of a column, by column.';
comment on column flux.policies.row_condition is 'Which rows the operation meets, as Postgres prints it; null where row level security is off.';
comment on column flux.policies.row_check is 'What a written row must meet, as Postgres prints it.';

grant select on flux.policies to flux_reader;
