create or replace function flux.repeated_queries(request uuid, at_least integer default 5)
    returns table (
        sql             text,
        name            text,
        parent_id       integer,
        first_span_id   integer,
        last_span_id    integer,
        times           bigint,
        total_us        bigint,
        share           numeric,
        suggested_index text
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        repeated.sql,
        repeated.name,
        repeated.parent_id,
        repeated.first_span_id,
        repeated.last_span_id,
        repeated.times,
        repeated.total_us,
        round(repeated.total_us::numeric / nullif(whole.duration_us, 0), 2),
        flux.suggested_index(repeated.sql)
    from (
        select
            span.attributes ->> 'db.query.text' as sql,
            min(span.name) as name,
            span.parent_id,
            min(span.span_id) as first_span_id,
            max(span.span_id) as last_span_id,
            count(*) as times,
            sum(span.duration_us)::bigint as total_us
        from flux.execution_spans as span
        where span.request_id = request
            and span.kind = 'db'
            and span.attributes ? 'db.query.text'
        group by span.attributes ->> 'db.query.text', span.parent_id
        having count(*) >= at_least
    ) as repeated
    left join (
        select max(asked.duration_us) as duration_us
        from flux.trace_requests as asked
        where asked.request_id = request
    ) as whole on true
    order by repeated.total_us desc
$$;

comment on function flux.repeated_queries(uuid, integer) is
    'Statements that a step of a request ran again and again (N+1), with their time and the index that would help, if one is missing.';
