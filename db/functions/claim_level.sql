create or replace function flux.claim_level(
    from_queue text,
    level integer,
    claimer text,
    most integer,
    lease interval
)
    returns setof flux.jobs
    language plpgsql
    volatile
    set search_path = ''
    set enable_seqscan = off
    set enable_bitmapscan = off
    set enable_sort = off
as $$
declare
    moment timestamptz := clock_timestamp();
    taken  record;
begin
    if most < 1 then
        return;
    end if;

    for taken in
        with chosen as materialized (
            select job.job_id, job.request_id, job.claimed_at
            from flux.jobs as job
            where job.queue = from_queue
                and job.priority = level
                and job.run_at <= moment
                and (job.worker is null or job.lease_until < moment)
                and (
                    job.ordering_key is null
                    or not exists (
                        select
                        from flux.jobs as other
                        where other.queue = from_queue
                            and other.ordering_key = job.ordering_key
                            and other.job_id <> job.job_id
                            and (other.job_id < job.job_id or other.lease_until > moment)
                    )
                )
            order by job.run_at, job.job_id
            limit most
            for update skip locked
        )

        update flux.jobs set
            attempt = jobs.attempt + 1,
            request_id = gen_random_uuid(),
            worker = claimer,
            lease_until = moment + lease,
            claimed_at = moment
        from chosen
        where jobs.job_id = chosen.job_id
        returning jobs as job, chosen.request_id as lost_request, chosen.claimed_at as lost_at
    loop
        if taken.lost_request is null or flux.take_up(taken.job, taken.lost_request, taken.lost_at) then
            return next taken.job;
        end if;
    end loop;
end
$$;

comment on function flux.claim_level(text, integer, text, integer, interval) is
    'Claims up to so many due jobs of one queue and priority, oldest first; of an ordering key only the first.';

revoke all on function flux.claim_level(text, integer, text, integer, interval) from public;
