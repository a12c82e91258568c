create or replace view flux.queue as
select
    'job:' || job.job_id as id,
    case
        when job.lease_until > now() then 'running'
        when job.attempt > 0 then 'failed'
        when job.run_at > now() then 'scheduled'
        else 'ready'
    end as state,
    job.kind,
    job.queue,
    job.function,
    job.priority,
    job.run_at,
    job.attempt,
    job.max_attempts,
    job.key,
    job.ordering_key,
    job.created_at,
    job.worker,
    job.lease_until,
    job.error,
    flux.short_id(coalesce(job.request_id, job.error_request_id)) as request,
    flux.short_id(job.parent_request_id) as pushed_by,
    job.input,
    job.job_id
from flux.jobs as job;

comment on view flux.queue is
    'Jobs that are not finished; `flux queue list` shows them: select * from flux.queue order by priority desc, run_at.';
comment on column flux.queue.id is 'The id as commands take it.';
comment on column flux.queue.state is 'scheduled for later, ready, running, or failed and waiting for its retry.';
comment on column flux.queue.kind is 'job, cron, event or hook.';
comment on column flux.queue.queue is 'The queue it is in.';
comment on column flux.queue.function is 'The function it runs.';
comment on column flux.queue.priority is 'Higher goes first.';
comment on column flux.queue.run_at is 'Not before this.';
comment on column flux.queue.attempt is 'Attempts begun.';
comment on column flux.queue.max_attempts is 'After so many it is dead.';
comment on column flux.queue.key is 'Unique among the unfinished jobs of its function.';
comment on column flux.queue.ordering_key is 'Jobs with the same one run one after another.';
comment on column flux.queue.created_at is 'When it was pushed.';
comment on column flux.queue.worker is 'The worker that has it.';
comment on column flux.queue.lease_until is 'Until when that worker has it, unless it renews its lease.';
comment on column flux.queue.error is 'Message of the last failure.';
comment on column flux.queue.request is 'The request of the attempt under way, or of the one that failed last.';
comment on column flux.queue.pushed_by is 'The request that pushed it.';
comment on column flux.queue.input is 'Arguments by name.';
comment on column flux.queue.job_id is 'The number alone.';

grant select on flux.queue to flux_reader;
