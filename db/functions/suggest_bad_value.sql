create or replace function flux.suggest_bad_value(request uuid, step integer)
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
    with failure as (
        select
            (regexp_match(span.error ->> 'message', '"([^"]*)"[^"]*$'))[1] as refused,
            (regexp_match(span.error ->> 'message', 'varying\((\d+)\)|character\((\d+)\)')) as sizes,
            span.error ->> 'message' as message,
            span.input as parameters,
            subject.function,
            subject.input
        from flux.execution_spans as span
        join flux.trace_requests as subject on subject.request_id = span.request_id
        where span.request_id = request
            and span.span_id = step
    )

    select
        'certain',
        format(
            'argument `%s` of %s was %s', member.path, failure.function,
            case when failure.sizes is null then '"' || left(flux.value_text(member.value), 60) || '"'
                else format('%s characters long', length(member.value #>> '{}')) end
        ),
        null::uuid,
        null
    from failure
    cross join lateral flux.input_members(failure.input) as member
    where member.value #>> '{}' = failure.refused
        or failure.sizes is not null
        and jsonb_typeof(member.value) = 'string'
        and length(member.value #>> '{}') > coalesce(failure.sizes[1], failure.sizes[2])::integer

    union all

    select 'likely', format('the statement''s parameters were %s', left(failure.parameters::text, 200)), null, null
    from failure
    where failure.parameters is not null
        and not exists (
            select
            from flux.input_members(failure.input) as member
            where member.value #>> '{}' = failure.refused
                or failure.sizes is not null and length(member.value #>> '{}') > coalesce(failure.sizes[1], failure.sizes[2])::integer
        )
$$;

comment on function flux.suggest_bad_value(uuid, integer) is
    'For a value of the wrong type, range or length: the argument it came from.';
