create or replace function flux.errors_since(
    since timestamptz default null,
    function_name text default null,
    with_refused boolean default false
)
    returns table (
        signature        text,
        times            bigint,
        first_seen       timestamptz,
        last_seen        timestamptz,
        functions        text[],
        outcome          text,
        status           integer,
        error_type       text,
        error_code       text,
        error_message    text,
        error_location   text,
        first_code_sha   text,
        last_code_sha    text,
        last_request_id  uuid
    )
    language sql
    stable
    set search_path = ''
as $$
    with failed as (
        select request.*,
            coalesce(request.error_signature, concat_ws(' ', request.outcome, request.function, request.status, request.error_type)) as shared
        from flux.trace_requests as request
        where request.outcome not in ('ok', 'running')
            and request.kind <> 'replay'
            and (with_refused or request.outcome <> 'refused')
            and request.started_at >= coalesce(since, '-infinity')
            and (function_name is null or request.function = function_name)
    ),

    grouped as (
        select
            failed.shared,
            count(*) as times,
            min(failed.started_at) as first_seen,
            max(failed.started_at) as last_seen,
            array_agg(distinct failed.function) filter (where failed.function is not null) as functions,
            (array_agg(failed.code_sha order by failed.started_at))[1] as first_code_sha
        from failed
        group by failed.shared
    )

    select
        grouped.shared, grouped.times, grouped.first_seen, grouped.last_seen, coalesce(grouped.functions, '{}'),
        latest.outcome, latest.status, latest.error_type, latest.error_code, latest.error_message,
        latest.error_location, grouped.first_code_sha, latest.code_sha, latest.request_id
    from grouped
    cross join lateral (
        select failed.*
        from failed
        where failed.shared = grouped.shared
            and failed.started_at = grouped.last_seen
        limit 1
    ) as latest
    order by grouped.last_seen desc
$$;

comment on function flux.errors_since(timestamptz, text, boolean) is
    'Failed requests grouped by what they share, latest first, each with its last request as an example; refused ones only when asked for, replays never.';
