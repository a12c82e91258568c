create or replace function flux.row_as_of(target regclass, key jsonb, at timestamptz)
    returns jsonb
    language sql
    stable
    set search_path = ''
as $$
    select flux.past_row(target, key, later.taken, at, later.soon_after)
    from flux.moment_of(at) as later
$$;

comment on function flux.row_as_of(regclass, jsonb, timestamptz) is
    'A row as it was committed at a time; null when there was none. Read a value with ->> and cast it to its column''s type.';
