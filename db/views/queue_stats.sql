create or replace view flux.queue_stats as
with waiting as (
    select
        job.queue,
        job.function,
        count(*) filter (where job.state = 'ready') as ready,
        count(*) filter (where job.state = 'scheduled') as scheduled,
        count(*) filter (where job.state = 'running') as running,
        count(*) filter (where job.state = 'failed') as failed,
        now() - min(job.run_at) filter (where job.state in ('ready', 'failed') and job.run_at <= now()) as oldest
    from flux.queue as job
    group by job.queue, job.function
),

ended as (
    select
        job.queue,
        job.function,
        count(*) filter (where job.state = 'done' and job.finished_at > now() - interval '15 minutes') as done,
        count(*) filter (where job.state = 'dead') as dead
    from flux.finished_jobs as job
    where job.state = 'dead' or job.finished_at > now() - interval '15 minutes'
    group by job.queue, job.function
),

runs as (
    select
        request.function,
        percentile_cont(0.95) within group (order by request.duration_us) as p95_us
    from flux.trace_requests as request
    where request.kind in ('job', 'cron', 'event', 'hook')
        and request.started_at > now() - interval '15 minutes'
    group by request.function
)

select
    coalesce(waiting.queue, ended.queue) as queue,
    coalesce(waiting.function, ended.function) as function,
    coalesce(waiting.ready, 0) as ready,
    coalesce(waiting.scheduled, 0) as scheduled,
    coalesce(waiting.running, 0) as running,
    coalesce(waiting.failed, 0) as failed,
    coalesce(ended.dead, 0) as dead,
    waiting.oldest,
    round(coalesce(ended.done, 0) / 15.0, 1) as done_per_minute,
    round((runs.p95_us / 1000)::numeric, 1) as p95_ms,
    coalesce(setting.paused, false) as paused,
    setting.concurrency_limit
from waiting
full join ended on waiting.queue = ended.queue and waiting.function = ended.function
left join runs on runs.function = coalesce(waiting.function, ended.function)
left join flux.queues as setting on setting.queue = coalesce(waiting.queue, ended.queue);

comment on view flux.queue_stats is
    'How the queues do, by function: what waits, for how long, and what was done in the last 15 minutes. `flux queue stats` shows it.';
comment on column flux.queue_stats.queue is 'The queue.';
comment on column flux.queue_stats.function is 'The function.';
comment on column flux.queue_stats.ready is 'Jobs that could run now.';
comment on column flux.queue_stats.scheduled is 'Jobs for later.';
comment on column flux.queue_stats.running is 'Jobs that a worker has.';
comment on column flux.queue_stats.failed is 'Jobs that wait for their retry.';
comment on column flux.queue_stats.dead is 'Jobs whose last attempt failed, as long as records are kept.';
comment on column flux.queue_stats.oldest is 'How long the oldest job that could run has been waiting.';
comment on column flux.queue_stats.done_per_minute is 'Jobs done a minute, over the last 15.';
comment on column flux.queue_stats.p95_ms is '95 of 100 runs took no longer, in milliseconds, over the last 15 minutes.';
comment on column flux.queue_stats.paused is 'Whether the queue is paused.';
comment on column flux.queue_stats.concurrency_limit is 'How many of the queue''s jobs run at once at most; null for no limit.';

grant select on flux.queue_stats to flux_reader;
