create or replace function flux.add_tick_job(function text, tick timestamptz)
    returns bigint
    language sql
    volatile
    set search_path = ''
    set timezone = 'UTC'
as $$
    select flux.add_job(kind => 'cron', function => function, input => jsonb_build_object('tick', tick))
$$;

comment on function flux.add_tick_job(text, timestamptz) is
    'Adds the job of a tick, whose input says which tick it is, in UTC.';

revoke all on function flux.add_tick_job(text, timestamptz) from public;
