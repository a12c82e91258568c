create or replace function flux.fail_job(
    job bigint,
    attempt integer,
    request uuid,
    reason text,
    ending text default null,
    retry_after interval default null
)
    returns text
    language plpgsql
    volatile
    set search_path = ''
as $$
#variable_conflict use_variable
declare
    held flux.jobs;
begin
    select * into held
    from flux.jobs as line
    where line.job_id = job
        and line.attempt = fail_job.attempt
        and line.request_id = request
    for update;

    if not found then
        -- Whoever took it up has written that this attempt was lost; its own word is better.
        delete from flux.execution_spans as span
        using flux.trace_requests as lost
        where lost.request_id = request
            and lost.outcome = 'crashed'
            and span.request_id = request
            and span.started_at = lost.started_at;
        delete from flux.trace_requests as lost
        where lost.request_id = request
            and lost.outcome = 'crashed';
        return null;
    end if;

    if ending is not null or held.attempt >= held.max_attempts then
        perform flux.end_job(job, coalesce(ending, 'dead'), reason, request);
        return coalesce(ending, 'dead');
    end if;

    update flux.jobs set
        run_at = clock_timestamp() + coalesce(retry_after, flux.retry_delay(held.attempt)),
        error = reason,
        error_request_id = request,
        request_id = null,
        worker = null,
        lease_until = null,
        claimed_at = null
    where jobs.job_id = job;

    return 'failed';
end
$$;

comment on function flux.fail_job(bigint, integer, uuid, text, text, interval) is
    'Ends a failed attempt: the job waits for its retry, or is dead after its last, or ends as told (dead, discarded). Gives its state; null when the lease was lost. Said before the attempt''s record is written.';

revoke all on function flux.fail_job(bigint, integer, uuid, text, text, interval) from public;
