create or replace function flux.tick(function text, tick timestamptz, reason text default 'schedule', skipped integer default 0)
    returns bigint
    language plpgsql
    volatile
    set search_path = ''
as $$
#variable_conflict use_variable
declare
    job bigint;
begin
    -- Whoever comes second waits here for the first, and then finds the tick taken.
    update flux.schedules as schedule set last_tick = tick
    where schedule.function = function
        and schedule.paused_at is null
        and tick > greatest(schedule.since, schedule.last_tick);

    if not found then
        return null;
    end if;

    if reason <> 'skipped' then
        job := flux.add_tick_job(function, tick);
    end if;

    insert into flux.cron_ticks (function, tick, reason, skipped, job_id)
    values (function, tick, reason, skipped, job);

    return job;
end
$$;

comment on function flux.tick(text, timestamptz, text, integer) is
    'Takes up a tick of a schedule: its row and its job at once, in one transaction. Null where another worker has it, the schedule is paused or gone, or the tick is only noted as skipped.';

revoke all on function flux.tick(text, timestamptz, text, integer) from public;
