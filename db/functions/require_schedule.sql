create or replace function flux.require_schedule(function text)
    returns void
    language plpgsql
    stable
    set search_path = ''
as $$
#variable_conflict use_variable
begin
    if not exists (select from flux.schedules as schedule where schedule.function = function) then
        raise exception 'no function % runs by the clock', function
            using errcode = 'XF801', hint = coalesce(
                (select 'There are: ' || string_agg(schedule.function, ', ' order by schedule.function) || '.' from flux.schedules as schedule),
                'Give one a schedule: @function(cron="*/5 * * * *"), and load it with `flux dev` or `flux db migrate`.'
            );
    end if;
end
$$;

comment on function flux.require_schedule(text) is
    'Raises XF801 with the names there are, unless this function has a schedule.';
