create or replace function flux.is_hidden(path text[], patterns text[])
    returns boolean
    language sql
    immutable
    set search_path = ''
as $$
    select exists (
        select
        from unnest(patterns) as pattern
        where right('.' || lower(array_to_string(path, '.')), length(pattern) + 1) = '.' || pattern
    )
$$;

comment on function flux.is_hidden(text[], text[]) is
    'Whether the value at a path such as {public,users,password} ends in one of the patterns: password, users.password.';
