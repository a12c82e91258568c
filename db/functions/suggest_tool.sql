create or replace function flux.suggest_tool(request uuid, step integer)
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
    with call as (
        select span.name, span.started_at, span.duration_us, span.attributes ->> 'http.response.status_code' as status
        from flux.execution_spans as span
        where span.request_id = request
            and span.span_id = step
    ),

    hour as (
        select
            count(*) as calls,
            count(*) filter (where span.error is not null) as failures,
            percentile_cont(0.5) within group (order by span.duration_us) as usual_us
        from call
        join flux.execution_spans as span
            on span.kind = 'tool'
            and span.name = call.name
            and span.started_at between call.started_at - interval '1 hour' and call.started_at + interval '1 hour'
            and span.request_id <> request
            and span.request_id not in (
                select replay.request_id from flux.trace_requests as replay where replay.replay_of is not null
            )
    )

    select
        'certain',
        format(
            '%s %s after %s ms; %s', call.name, coalesce('answered ' || call.status, 'did not answer'),
            round(call.duration_us / 1000.0, 1),
            case
                when hour.calls = 0 then 'it was not called by any other request within the hour'
                else format(
                    '%s of its %s other calls within the hour failed too, and they usually took %s ms',
                    hour.failures, hour.calls, round((hour.usual_us / 1000)::numeric, 1)
                )
            end
        ),
        null::uuid,
        'flux trace ' || left(request::text, 8) || ' --full'
    from call
    cross join hour
$$;

comment on function flux.suggest_tool(uuid, integer) is
    'For a failed tool call: what it answered, and how other calls of the same tool did within the hour.';
