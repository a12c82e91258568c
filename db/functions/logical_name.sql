create or replace function flux.logical_name(target regclass)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select format('%I.%I', namespace.nspname, class.relname)
    from pg_class as class
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    where class.oid = coalesce(pg_partition_root(target), target)
$$;

comment on function flux.logical_name(regclass) is
    'The name a table is recorded under: its own, or that of the root it is a partition of.';
