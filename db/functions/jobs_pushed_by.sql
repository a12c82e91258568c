create or replace function flux.jobs_pushed_by(request uuid)
    returns table (
        job_id    bigint,
        kind      text,
        function  text,
        queue     text,
        input     jsonb,
        error     text
    )
    language sql
    stable
    set search_path = ''
as $$
    select job.job_id, job.kind, job.function, job.queue, job.input, null
    from flux.jobs as job
    where job.parent_request_id = request

    union all

    select job.job_id, job.kind, job.function, job.queue, job.input, job.error
    from flux.finished_jobs as job
    where job.parent_request_id = request
        and job.state = 'dead'
        and job.attempt = 0
    order by 1
$$;

comment on function flux.jobs_pushed_by(uuid) is
    'Jobs that a request pushed and that have not ended, hooks and events among them; error says why one was dead at once.';

revoke all on function flux.jobs_pushed_by(uuid) from public;
