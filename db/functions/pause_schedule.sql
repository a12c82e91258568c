create or replace function flux.pause_schedule(function text)
    returns boolean
    language plpgsql
    volatile
    set search_path = ''
as $$
#variable_conflict use_variable
begin
    perform flux.require_schedule(function);

    update flux.schedules as schedule set paused_at = now()
    where schedule.function = function
        and schedule.paused_at is null;

    return found;
end
$$;

comment on function flux.pause_schedule(text) is
    'Stops a schedule until it is resumed, also over restarts; false when it was paused already.';

revoke all on function flux.pause_schedule(text) from public;
