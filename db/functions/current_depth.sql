create or replace function flux.current_depth()
    returns integer
    language sql
    stable
as $$
    select coalesce(nullif(pg_catalog.current_setting('flux.hook_depth', true), '')::pg_catalog.int4, 0)
$$;

comment on function flux.current_depth() is
    'How many hooks led to this transaction, one by the work of another. Has no settings of its own, so that callers inline it.';
