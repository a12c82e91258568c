create or replace function flux.requests_between(
    since timestamptz,
    until timestamptz,
    function_name text default null,
    failed_only boolean default false
)
    returns setof flux.trace_requests
    language sql
    stable
    set search_path = ''
as $$
    select line.*
    from flux.trace_requests as line
    where line.started_at >= since
        and line.started_at < until
        and line.kind <> 'replay'
        and (function_name is null or line.function = function_name)
        and (not failed_only or line.outcome in ('error', 'timeout', 'crashed'))
    order by line.started_at, line.request_id
$$;

comment on function flux.requests_between(timestamptz, timestamptz, text, boolean) is
    'The requests that began in a window of time, oldest first: of one function, or only those that failed; replays are left out.';
