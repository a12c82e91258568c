create or replace view flux.dead_jobs as
select
    'job:' || job.job_id as id,
    job.state,
    job.kind,
    job.queue,
    job.function,
    job.attempt,
    job.finished_at,
    job.error,
    flux.short_id(job.error_request_id) as request,
    flux.short_id(job.parent_request_id) as pushed_by,
    job.input,
    job.created_at,
    job.job_id
from flux.finished_jobs as job
where job.state <> 'done';

comment on view flux.dead_jobs is
    'Jobs that ended without being done and can be brought back with `flux queue retry`; `flux queue dead` shows those that failed to the last.';
comment on column flux.dead_jobs.id is 'The id as commands take it.';
comment on column flux.dead_jobs.state is 'dead, cancelled or discarded.';
comment on column flux.dead_jobs.kind is 'job, cron, event or hook.';
comment on column flux.dead_jobs.queue is 'The queue it was in.';
comment on column flux.dead_jobs.function is 'The function it was for.';
comment on column flux.dead_jobs.attempt is 'Attempts made.';
comment on column flux.dead_jobs.finished_at is 'When it ended.';
comment on column flux.dead_jobs.error is 'Message of the last failure, or why it was discarded.';
comment on column flux.dead_jobs.request is 'The request that failed last, for `flux why`.';
comment on column flux.dead_jobs.pushed_by is 'The request that pushed it.';
comment on column flux.dead_jobs.input is 'Arguments by name.';
comment on column flux.dead_jobs.created_at is 'When it was pushed.';
comment on column flux.dead_jobs.job_id is 'The number alone.';

grant select on flux.dead_jobs to flux_reader;
