create or replace function flux.claim_jobs(wanted text[], claimer text, most integer, lease interval)
    returns setof flux.jobs
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    level record;
    job   flux.jobs;
    ids   bigint[];
    count integer := 0;
begin
    for level in select * from flux.ready_levels(wanted)
    loop
        exit when count >= most;

        ids := '{}';
        for job in
            select *
            from flux.claim_level(
                level.queue, level.priority, claimer, flux.queue_room(level.queue, most - count), lease
            )
        loop
            return next job;
            ids := ids || job.job_id;
        end loop;

        count := count + cardinality(ids);
        update flux.queues set claimed = claimed || ids
        where queue = level.queue
            and concurrency_limit is not null;
    end loop;
end
$$;

comment on function flux.claim_jobs(text[], text, integer, interval) is
    'Gives a worker up to so many jobs of the queues it wants (all for null), by priority and age, for the time of a lease; takes up those whose lease ran out.';

revoke all on function flux.claim_jobs(text[], text, integer, interval) from public;
