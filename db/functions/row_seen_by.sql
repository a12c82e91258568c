create or replace function flux.row_seen_by(target regclass, key jsonb, request uuid)
    returns jsonb
    language sql
    stable
    set search_path = ''
as $$
    select flux.past_row(target, key, flux.request_snapshot(request), null, null)
$$;

comment on function flux.row_seen_by(regclass, jsonb, uuid) is
    'A row exactly as the first statement of a request saw it, before its own writes; null when there was none.';
