create or replace function flux.ready_levels(wanted text[] default null)
    returns table (queue text, priority integer, oldest_at timestamptz)
    language sql
    volatile
    set search_path = ''
    set enable_seqscan = off
    set enable_bitmapscan = off
as $$
    -- Jumps from queue to queue and from priority to priority by index, past however many jobs wait for their time.
    with recursive present as (
        select min(job.queue) as queue
        from flux.jobs as job
        where wanted is null

        union all

        select (select min(job.queue) from flux.jobs as job where job.queue > present.queue)
        from present
        where present.queue is not null
    ),

    named as (
        select present.queue from present where present.queue is not null
        union all
        select unnest(wanted)
    ),

    level as (
        select
            named.queue,
            (
                select job.priority
                from flux.jobs as job
                where job.queue = named.queue
                order by job.priority desc
                limit 1
            ) as priority
        from named

        union all

        select
            level.queue,
            (
                select job.priority
                from flux.jobs as job
                where job.queue = level.queue
                    and job.priority < level.priority
                order by job.priority desc
                limit 1
            )
        from level
        where level.priority is not null
    )

    select level.queue, level.priority, head.run_at
    from level
    cross join lateral (
        select job.run_at
        from flux.jobs as job
        where job.queue = level.queue
            and job.priority = level.priority
        order by job.run_at
        limit 1
    ) as head
    where head.run_at <= clock_timestamp()
    order by level.priority desc, head.run_at, level.queue
$$;

comment on function flux.ready_levels(text[]) is
    'Queues (all, or those wanted) and priorities that have a job whose time has come, in the order in which they are served: priority, then age.';

revoke all on function flux.ready_levels(text[]) from public;
