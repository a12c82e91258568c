create or replace function flux.obstacle_to_tracking(target regclass)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select case
        when namespace.nspname in ('flux', 'pg_catalog', 'information_schema') or namespace.nspname like 'pg\_toast%'
            then 'a table of the system'
        when class.relkind not in ('r', 'p', 'f') then 'not a table'
        when class.relpersistence = 't' then 'temporary'
        when class.relkind = 'f' then 'foreign table: its rows are kept elsewhere'
        when exists (
            select
            from pg_depend
            where classid = 'pg_class'::regclass
                and objid = class.oid
                and deptype = 'e'
        ) then 'belongs to an extension'
        when not pg_has_role(class.relowner, 'usage')
            then format('owned by %I', pg_get_userbyid(class.relowner))
    end
    from pg_class as class
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    where class.oid = coalesce(pg_partition_root(target), target)
$$;

comment on function flux.obstacle_to_tracking(regclass) is
    'Why this role cannot track a table; null when it can.';
