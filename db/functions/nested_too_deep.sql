create or replace function flux.nested_too_deep(value jsonb)
    returns boolean
    language sql
    immutable
    set search_path = ''
as $$
    select jsonb_path_exists(value, '$.**{201}')
$$;

comment on function flux.nested_too_deep(jsonb) is
    'Whether objects and arrays lie in each other more than 200 levels deep: Postgres keeps such a value, and Python cannot read it.';
