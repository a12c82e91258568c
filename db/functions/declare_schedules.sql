create or replace function flux.declare_schedules(declared jsonb)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
begin
    delete from flux.schedules as schedule
    where not exists (
        select
        from jsonb_to_recordset(declared -> 'functions') as loaded (function text, schedule jsonb)
        where loaded.function = schedule.function
            and jsonb_typeof(loaded.schedule) = 'object'
    )
        and not declared -> 'broken' ? schedule.function;

    insert into flux.schedules as there (function, expression, timezone, missed)
    select
        loaded.function,
        loaded.schedule ->> 'expression',
        loaded.schedule ->> 'timezone',
        loaded.schedule ->> 'missed'
    from jsonb_to_recordset(declared -> 'functions') as loaded (function text, schedule jsonb)
    where jsonb_typeof(loaded.schedule) = 'object'
    on conflict (function) do update
    set expression = excluded.expression,
        timezone = excluded.timezone,
        missed = excluded.missed,
        -- Ticks that the new expression names in the past were never missed.
        since = case
            when (there.expression, there.timezone) = (excluded.expression, excluded.timezone) then there.since
            else excluded.since
        end
    where (there.expression, there.timezone, there.missed)
        <> (excluded.expression, excluded.timezone, excluded.missed);
end
$$;

comment on function flux.declare_schedules(jsonb) is
    'Makes the schedules those of the loaded functions; one that did not change keeps its ticks, and stays paused.';

revoke all on function flux.declare_schedules(jsonb) from public;
