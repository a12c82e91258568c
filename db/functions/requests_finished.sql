create or replace function flux.requests_finished(
    since timestamptz default null,
    seen uuid[] default '{}',
    function_name text default null,
    slower_than_us bigint default null,
    failed_only boolean default false
)
    returns setof flux.trace_requests
    language sql
    stable
    set search_path = ''
as $$
    -- Three ways to have come since: begun since; ended since, by an index that holds only what took long; found dead.
    with frame as (
        select coalesce(since, now() - interval '15 seconds') as since
    )

    select line.*
    from flux.trace_requests as line
    cross join frame
    where line.outcome <> 'running'
        and line.kind <> 'replay'
        and line.request_id <> all (seen)
        and (function_name is null or line.function = function_name)
        and (slower_than_us is null or line.duration_us >= slower_than_us)
        and (not failed_only or line.outcome <> 'ok')
        and (
            line.started_at >= frame.since
            or line.duration_us >= 1000000
            and timezone('UTC', line.started_at) + line.duration_us * interval '1 microsecond'
                >= timezone('UTC', frame.since)
            or line.outcome = 'crashed'
            and line.started_at >= frame.since - interval '1 day'
        )
    order by line.started_at + coalesce(line.duration_us, 0) * interval '1 microsecond'
$$;

comment on function flux.requests_finished(timestamptz, uuid[], text, bigint, boolean) is
    'Requests that ended since a moment (15 seconds ago) and are not among those seen; asked again and again it misses no late commit; replays are left out.';
