create or replace function flux.table_seen_by(target regclass, request uuid)
    returns setof jsonb
    language sql
    stable
    set search_path = ''
as $$
    select past.content
    from flux.past_table(target, flux.request_snapshot(request), null, null) as past (content)
$$;

comment on function flux.table_seen_by(regclass, uuid) is
    'The rows of a table exactly as the first statement of a request saw them, before its own writes.';
