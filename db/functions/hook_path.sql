create or replace function flux.hook_path(target regclass)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select format('%I, public, pg_temp', namespace.nspname)
    from pg_class as class
    join pg_namespace as namespace on namespace.oid = class.relnamespace
    where class.oid = target
$$;

comment on function flux.hook_path(regclass) is
    'The search_path of a hook''s condition: the schema of its table, then public; never what the writer has set.';
