create or replace function flux.resume_schedule(function text)
    returns boolean
    language plpgsql
    volatile
    set search_path = ''
as $$
#variable_conflict use_variable
begin
    perform flux.require_schedule(function);

    -- Ticks of the pause were not missed: they were not wanted.
    update flux.schedules as schedule set paused_at = null, since = now()
    where schedule.function = function
        and schedule.paused_at is not null;

    return found;
end
$$;

comment on function flux.resume_schedule(text) is
    'Lets a paused schedule go on with its next tick; false when it was not paused.';

revoke all on function flux.resume_schedule(text) from public;
