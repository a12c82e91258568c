create or replace function flux.suggest_no_row(request uuid)
    returns table (
        certainty   text,
        suggestion  text,
        about       uuid,
        command     text
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        'likely',
        format(
            'step %s, %s, found no row%s', empty.span_id, empty.name,
            coalesce(' for ' || nullif(left(empty.input::text, 120), '[]'), '')
        ),
        null::uuid,
        'flux trace ' || left(request::text, 8) || ' --full'
    from (
        select span.span_id, span.name, span.input
        from flux.execution_spans as span
        where span.request_id = request
            and span.kind = 'db'
            and span.error is null
            and span.attributes ->> 'db.response.returned_rows' = '0'
            and span.attributes ->> 'db.query.text' ~* '^\s*(select|with|update|delete)'
        order by span.span_id desc
        limit 1
    ) as empty
$$;

comment on function flux.suggest_no_row(uuid) is
    'For an error that a missing value causes in code: the last query that found no row.';
