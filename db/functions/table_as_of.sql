create or replace function flux.table_as_of(target regclass, at timestamptz)
    returns setof jsonb
    language sql
    stable
    set search_path = ''
as $$
    select past.content
    from flux.moment_of(at) as later, flux.past_table(target, later.taken, at, later.soon_after) as past (content)
$$;

comment on function flux.table_as_of(regclass, timestamptz) is
    'The rows of a table as they were committed at a time. flux.row_from_json(null::public.users, row) gives typed ones.';
