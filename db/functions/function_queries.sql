create or replace function flux.function_queries(function_name text, runs integer default 1000, most integer default 20)
    returns table (
        sql         text,
        times       bigint,
        request_id  uuid,
        span_id     integer,
        input       jsonb,
        attributes  jsonb
    )
    language sql
    stable
    set search_path = ''
as $$
    with latest as (
        select request.request_id
        from flux.trace_requests as request
        where request.function = function_name
            and request.kind <> 'replay'
        order by request.started_at desc
        limit runs
    ),

    sent as (
        select
            span.*,
            span.attributes ->> 'db.query.text' as sql,
            count(*) over same as times,
            row_number() over (same order by span.started_at desc, span.span_id) as place
        from latest
        join flux.execution_spans as span
            on span.request_id = latest.request_id
            and span.kind = 'db'
            and span.attributes ? 'db.query.text'
        window same as (partition by span.attributes ->> 'db.query.text')
    )

    select sent.sql, sent.times, sent.request_id, sent.span_id, sent.input, sent.attributes
    from sent
    where sent.place = 1
    order by sent.times desc, sent.sql
    limit most
$$;

comment on function flux.function_queries(text, integer, integer) is
    'The distinct statements that the latest runs of a function sent, how often, and where each was sent last.';

revoke all on function flux.function_queries(text, integer, integer) from public;
