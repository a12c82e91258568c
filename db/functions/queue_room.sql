create or replace function flux.queue_room(queue text, wanted integer)
    returns integer
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    setting flux.queues;
    running bigint[];
begin
    select * into setting from flux.queues as said where said.queue = queue_room.queue;
    if not found then
        return wanted;
    end if;
    if setting.paused then
        return 0;
    end if;
    if setting.concurrency_limit is null then
        return wanted;
    end if;

    -- One claim of a limited queue at a time, over all workers, until its transaction ends.
    select * into setting from flux.queues as said where said.queue = queue_room.queue for update;

    running := array(
        select job.job_id
        from flux.jobs as job
        where job.job_id = any (setting.claimed)
            and job.lease_until > clock_timestamp()
    );
    update flux.queues set claimed = running where queues.queue = queue_room.queue;
    return greatest(0, least(wanted, setting.concurrency_limit - cardinality(running)));
end
$$;

comment on function flux.queue_room(text, integer) is
    'How many jobs of a queue may be claimed now, at most as many as wanted: none while it is paused, no more than its limit over all workers.';

revoke all on function flux.queue_room(text, integer) from public;
