create or replace function flux.suggest_queries(request uuid)
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
        'certain',
        format(
            'N+1: %s ran %s times in steps %s to %s, %s ms in all: fetch them with one statement',
            repeated.name, repeated.times, repeated.first_span_id, repeated.last_span_id,
            round(repeated.total_us / 1000.0, 1)
        ),
        null::uuid,
        repeated.suggested_index
    from flux.repeated_queries(request) as repeated

    union all

    select
        'likely',
        format('step %s, %s, took %s ms and has no index to use', slow.span_id, slow.name, round(slow.duration_us / 1000.0, 1)),
        null,
        slow.suggested_index
    from (
        select span.span_id, span.name, span.duration_us, flux.suggested_index(span.attributes ->> 'db.query.text') as suggested_index
        from flux.execution_spans as span
        where span.request_id = request
            and span.kind = 'db'
            and span.duration_us >= 100000
        order by span.duration_us desc
        limit 3
    ) as slow
    where slow.suggested_index is not null
$$;

comment on function flux.suggest_queries(uuid) is
    'Statements repeated in a loop, and slow ones without an index, with the index to create.';
