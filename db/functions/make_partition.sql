create or replace function flux.make_partition(parent text, day date)
    returns text
    language plpgsql
    volatile
    set search_path = ''
    set timezone = 'UTC'
as $$
declare
    name        text := format('%s_%s', parent, to_char(day, 'YYYY_MM_DD'));
    time_column text := case parent
        when 'state_mutations' then 'recorded_at'
        when 'replay_mutations' then 'recorded_at'
        when 'finished_jobs' then 'finished_at'
        when 'events' then 'time'
        else 'started_at'
    end;
begin
    if to_regclass(format('flux.%I', name)) is not null then
        return null;
    end if;

    -- Rows that came before their partition wait in the default one, and would keep it from being attached.
    execute format('lock table only flux.%I in access exclusive mode', parent || '_default');
    execute format('create table flux.%I (like flux.%I including all)', name, parent);
    execute format(
        'with moved as (delete from flux.%I where %I >= $1 and %2$I < $2 returning *) '
        'insert into flux.%3$I select * from moved',
        parent || '_default', time_column, name
    )
    using day::timestamptz, (day + 1)::timestamptz;

    execute format(
        'alter table flux.%I attach partition flux.%I for values from (%L) to (%L)',
        parent, name, day::timestamptz, (day + 1)::timestamptz
    );
    execute format('comment on table flux.%I is %L', name, format('flux.%s of %s, in UTC.', parent, day));
    return name;
end
$$;

comment on function flux.make_partition(text, date) is
    'Makes the partition of a record table for one day in UTC, with the rows of that day that came before it; null when it is there.';

revoke all on function flux.make_partition(text, date) from public;
