create or replace function flux.requests_matching(
    function_name text default null,
    status_like text default null,
    since timestamptz default null,
    slower_than_us bigint default null,
    failed_only boolean default false,
    most integer default 20
)
    returns setof flux.trace_requests
    language sql
    stable
    set search_path = ''
as $$
    select line.*
    from flux.trace_requests as line
    where (function_name is null or line.function = function_name)
        and line.kind <> 'replay'
        and line.started_at >= coalesce(since, '-infinity')
        and (slower_than_us is null or line.duration_us >= slower_than_us)
        and (not failed_only or line.outcome <> 'ok')
        and (
            status_like is null
            or line.outcome = lower(status_like)
            or line.status::text like replace(lower(status_like), 'x', '_')
        )
    order by line.started_at desc
    limit most
$$;

comment on function flux.requests_matching(text, text, timestamptz, bigint, boolean, integer) is
    'The latest requests, newest first: of one function, with a status (500, 5xx, or an outcome such as timeout), since a moment, slower than a time; replays are left out.';
