create or replace function flux.retry_job(job bigint)
    returns boolean
    language plpgsql
    volatile
    set search_path = ''
as $$
begin
    if exists (
        select
        from flux.finished_jobs as ended
        join flux.jobs as other on other.function = ended.function and other.key = ended.key
        where ended.job_id = job
    ) then
        return false;
    end if;

    with back as (
        delete from flux.finished_jobs as ended
        where ended.job_id = job
            and ended.state <> 'done'
        returning *
    )

    -- Attempts go on being counted, so that no earlier one can be taken for a later one. One of an ordering key comes
    -- first again, but not before every claim of this moment has ended.
    insert into flux.jobs (
        job_id, kind, queue, function, input, priority, run_at, attempt, max_attempts, key, ordering_key, depth,
        parent_request_id, parent_span_id, trace_id, created_at, error, error_request_id
    )
    select
        job_id, kind, queue, function, input, priority,
        now() + case when ordering_key is null then interval '0' else interval '1 second' end,
        attempt,
        attempt + coalesce(
            (select said.max_attempts from flux.job_defaults as said where said.function = back.function),
            flux.setting_number('max_attempts', 10)
        ),
        key, ordering_key, depth,
        parent_request_id, parent_span_id, trace_id, created_at, error, error_request_id
    from back;

    if found then
        return true;
    end if;

    update flux.jobs set run_at = now()
    where job_id = job
        and worker is null
        and run_at > now();

    return found;
end
$$;

comment on function flux.retry_job(bigint) is
    'Brings back a job that is dead, cancelled or discarded, with as many attempts again; one that waits runs now. False when there is nothing to retry, or another job has its key.';

revoke all on function flux.retry_job(bigint) from public;
