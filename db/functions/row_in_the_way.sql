create or replace function flux.row_in_the_way(request uuid, step integer)
    returns table (
        table_name   text,
        row_key      jsonb,
        request_id   uuid,
        span_id      integer,
        recorded_at  timestamptz,
        actor        text
    )
    language sql
    stable
    set search_path = ''
as $$
    select write.table_name, write.row_key, write.request_id, write.span_id, write.recorded_at, write.actor
    from flux.execution_spans as span
    cross join lateral flux.last_write_of(
        flux.known_table(span.error ->> 'table'),
        flux.key_in_detail(span.error ->> 'detail'),
        array['INSERT', 'UPDATE'],
        request
    ) as write
    where span.request_id = request
        and span.span_id = step
        and flux.key_in_detail(span.error ->> 'detail') is not null
        and write.row_key is not null
$$;

comment on function flux.row_in_the_way(uuid, integer) is
    'For a step that broke a unique constraint: the row that was there already, and the request that wrote it; no rows when no such write is recorded.';
