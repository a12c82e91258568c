create or replace function flux.cron_history(function_name text default null, most integer default 20)
    returns table (
        tick timestamptz,
        function text,
        reason text,
        skipped integer,
        job_id bigint,
        state text,
        attempt integer,
        request_id uuid,
        duration_us bigint,
        error text
    )
    language sql
    stable
    set search_path = ''
as $$
    with latest as materialized (
        select line.*
        from flux.cron_ticks as line
        where function_name is null
            or line.function = function_name
        order by line.tick desc
        limit most
    )

    select
        latest.tick, latest.function, latest.reason, latest.skipped, latest.job_id,
        outcome.state, outcome.attempt, outcome.request_id, request.duration_us, outcome.error
    from latest
    left join flux.job_outcomes((select array_agg(latest.job_id) from latest)) as outcome
        on outcome.job_id = latest.job_id
    left join flux.trace_requests as request
        on request.request_id = outcome.request_id
    order by latest.tick desc
$$;

comment on function flux.cron_history(text, integer) is
    'The latest ticks, of one function or of all, newest first, and what became of each.';
