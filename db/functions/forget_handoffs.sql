create or replace function flux.forget_handoffs(day date)
    returns void
    language sql
    volatile
    set search_path = ''
    set timezone = 'UTC'
as $$
    delete from flux.cron_ticks where tick < day;
    delete from flux.deliveries where event_time < day;
$$;

comment on function flux.forget_handoffs(date) is
    'Forgets ticks and deliveries of the days before one, in UTC; the schedules themselves know which tick was last.';

revoke all on function flux.forget_handoffs(date) from public;
