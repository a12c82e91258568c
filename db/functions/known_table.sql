create or replace function flux.known_table(given text)
    returns text
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    parts text[];
    found text;
begin
    begin
        parts := parse_ident(given);
    exception when invalid_parameter_value then
        parts := array[given];
    end;

    -- `Users` means the table users, unless there is a table "Users".
    select flux.logical_name(class.oid::regclass)
    into found
    from pg_class as class
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    where class.relkind in ('r', 'p', 'f')
        and namespace.nspname not in ('pg_catalog', 'information_schema', 'flux')
        and namespace.nspname !~ '^pg_(toast|temp)'
        and (
            class.relname = given
            or class.relname = parts[cardinality(parts)]
            and (cardinality(parts) = 1 or namespace.nspname = parts[cardinality(parts) - 1])
        )
    order by class.relname = given desc, namespace.nspname = 'public' desc, namespace.nspname
    limit 1;

    if found is null then  -- dropped or renamed since: its record is still there
        select mutation.table_name
        into found
        from flux.state_mutations as mutation
        where mutation.table_name in (given, format('%I.%I', 'public', given), format('%I.%I', 'public', parts[1]))
            or cardinality(parts) = 2 and mutation.table_name = format('%I.%I', parts[1], parts[2])
        limit 1;
    end if;

    return found;
end
$$;

comment on function flux.known_table(text) is
    'The name under which a table is recorded, such as public.users, from a name as people type it; dropped tables too; null when there is none.';
