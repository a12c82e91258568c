create or replace function flux.root_cause(request uuid)
    returns table (
        span_id      integer,
        kind         text,
        name         text,
        error_type   text,
        message      text,
        code         text,
        http_status  integer,
        detail       text,
        location     text,
        certainty    text,
        explanation  text
    )
    language sql
    stable
    set search_path = ''
as $$
    with recursive subject as (
        select * from flux.trace_requests as asked where asked.request_id = request order by asked.started_at limit 1
    ),

    failed as materialized (
        select step.*
        from flux.execution_spans as step
        where step.request_id = request
            and step.error is not null
            and step.kind <> 'log'
    ),

    -- Down from the outermost failing step: into the last failing step inside it, if that one's error is the same, or
    -- if nothing else was begun after it. Else the error was dealt with, and what came later is the cause.
    chain as (
        select outermost.*, 0 as depth, true as same
        from (
            select failed.*
            from failed
            where failed.parent_id is null
                or not exists (select from failed as parent where parent.span_id = failed.parent_id)
            order by failed.span_id desc
            limit 1
        ) as outermost

        union all

        select inner_step.*
        from chain
        cross join lateral (
            select failed.*, chain.depth + 1, chain.same and failed.error ->> 'message' = chain.error ->> 'message'
            from failed
            where failed.parent_id = chain.span_id
                and (
                    failed.error ->> 'message' = chain.error ->> 'message'
                    or not exists (
                        select
                        from flux.execution_spans as later
                        where later.request_id = request
                            and later.parent_id = chain.span_id
                            and later.span_id > failed.span_id
                            and later.kind <> 'log'
                    )
                )
            order by failed.span_id desc
            limit 1
        ) as inner_step
    ),

    deepest as (
        select * from chain order by chain.depth desc limit 1
    )

    select
        deepest.span_id,
        coalesce(deepest.kind, subject.kind),
        coalesce(deepest.name, subject.function, concat_ws(' ', subject.method, subject.path)),
        coalesce(deepest.error ->> 'type', subject.error_type),
        coalesce(deepest.error ->> 'message', subject.error_message),
        coalesce(deepest.error ->> 'code', subject.error_code),
        coalesce((deepest.attributes ->> 'http.response.status_code')::integer, case when deepest.kind is distinct from 'db' then subject.status end),
        deepest.error ->> 'detail',
        coalesce(deepest.error ->> 'location', subject.error_location),
        case
            when deepest.span_id is null and subject.error_message is null then 'unknown'
            when deepest.same or deepest.span_id is null then 'certain'
            else 'likely'
        end,
        case
            when subject.outcome = 'crashed' then 'the process that ran it died; what it did after its last commit is not known'
            when deepest.same is false then format('it ended as %s: %s', regexp_replace(subject.error_type, '^.*\.', ''), subject.error_message)
        end
    from subject
    left join deepest on true
    where subject.outcome <> 'ok'
$$;

comment on function flux.root_cause(uuid) is
    'The deepest step that failed and was not dealt with, and how sure that is: certain when the request ended with the same error, likely when with another.';
