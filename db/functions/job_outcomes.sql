create or replace function flux.job_outcomes(ids bigint[])
    returns table (
        job_id bigint,
        state text,
        attempt integer,
        request_id uuid,
        error text
    )
    language sql
    stable
    set search_path = ''
as $$
    select ended.job_id, ended.state, ended.attempt, coalesce(ended.request_id, ended.error_request_id), ended.error
    from flux.finished_jobs as ended
    where ended.job_id = any (ids)

    union all

    select
        line.job_id,
        case
            when line.worker is not null then 'running'
            when line.attempt > 0 then 'failed'
            when line.run_at > now() then 'scheduled'
            else 'ready'
        end,
        line.attempt,
        coalesce(line.request_id, line.error_request_id),
        line.error
    from flux.jobs as line
    where line.job_id = any (ids)
$$;

comment on function flux.job_outcomes(bigint[]) is
    'What became of jobs so far: state, attempts, the request of the last attempt, and the last failure.';
