create or replace function flux.is_commit(code_sha text)
    returns boolean
    language sql
    immutable
    set search_path = ''
as $$
    select code_sha ~ '^([0-9a-f]{40}|[0-9a-f]{64})$'
$$;

comment on function flux.is_commit(text) is
    'Whether code is known by a git commit alone, so that git can show it.';
