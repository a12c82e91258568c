create or replace function flux.whole_record(request uuid)
    returns table (
        request_row  jsonb,
        spans        jsonb,
        mutations    jsonb
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        to_jsonb(asked.*),
        (
            select coalesce(jsonb_agg(to_jsonb(span) order by span.span_id, span.started_at), '[]')
            from flux.execution_spans as span
            where span.request_id = request
        ),
        (
            select coalesce(jsonb_agg(to_jsonb(written) order by written.rolled_back, written.id), '[]')
            from flux.request_mutations(request) as written
        )
    from flux.request_record(request) as asked
$$;

comment on function flux.whole_record(uuid) is
    'All that is known of one request as JSON: its row, its spans, and every write it made or attempted.';
