create or replace function flux.set_queue(name text, pause boolean default null, most integer default null)
    returns void
    language sql
    volatile
    set search_path = ''
as $$
    insert into flux.queues (queue, paused, concurrency_limit, claimed)
    values (
        name,
        coalesce(pause, false),
        nullif(most, 0),
        array(select job_id from flux.jobs where queue = name and lease_until > clock_timestamp())
    )
    on conflict (queue) do update set
        paused = coalesce(pause, queues.paused),
        concurrency_limit = case when most is null then queues.concurrency_limit else nullif(most, 0) end,
        claimed = excluded.claimed,
        changed_at = now()
$$;

comment on function flux.set_queue(text, boolean, integer) is
    'Pauses or resumes a queue, or limits how many of its jobs run at once over all workers; 0 is no limit, null leaves it.';

revoke all on function flux.set_queue(text, boolean, integer) from public;
