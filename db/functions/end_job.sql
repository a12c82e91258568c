create or replace function flux.end_job(
    job bigint,
    ending text,
    reason text default null,
    failed_request uuid default null
)
    returns boolean
    language plpgsql
    volatile
    set search_path = ''
as $$
begin
    with ended as (
        delete from flux.jobs
        where jobs.job_id = job
        returning *
    )

    insert into flux.finished_jobs (
        job_id, state, kind, queue, function, input, priority, run_at, attempt, max_attempts, key, ordering_key, depth,
        parent_request_id, parent_span_id, trace_id, created_at, request_id, claimed_at, error, error_request_id
    )
    select
        job_id, ending, kind, queue, function, case when ending <> 'done' then input end, priority, run_at,
        least(attempt, max_attempts), max_attempts, key, ordering_key, depth,
        parent_request_id, parent_span_id, trace_id, created_at, request_id, claimed_at, coalesce(reason, error),
        coalesce(failed_request, error_request_id)
    from ended;

    return found;
end
$$;

comment on function flux.end_job(bigint, text, text, uuid) is
    'Moves a job to flux.finished_jobs as done, dead, cancelled or discarded; false when there is no such job.';

revoke all on function flux.end_job(bigint, text, text, uuid) from public;
