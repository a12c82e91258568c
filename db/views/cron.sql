create or replace view flux.cron as
select
    schedule.function,
    schedule.expression,
    schedule.timezone,
    schedule.missed,
    case when schedule.paused_at is null then 'going' else 'paused' end as state,
    schedule.paused_at,
    greatest(schedule.since, schedule.last_tick) as after,
    latest.tick as last_tick,
    latest.reason as last_reason,
    latest.state as last_state,
    latest.request_id as last_request_id,
    latest.error as last_error
from flux.schedules as schedule
left join lateral flux.cron_history(schedule.function, 1) as latest on true
order by schedule.function;

comment on view flux.cron is
    'Functions that run by the clock: when, whether they are paused, and how the last run went.';
comment on column flux.cron.function is 'The function that runs.';
comment on column flux.cron.expression is 'Minute, hour, day, month, weekday; with six fields, seconds come first.';
comment on column flux.cron.timezone is 'The time zone in which the expression is meant.';
comment on column flux.cron.missed is 'What becomes of ticks in a time when no worker ran: once or skip.';
comment on column flux.cron.state is 'going or paused.';
comment on column flux.cron.paused_at is 'When it was paused by hand.';
comment on column flux.cron.after is 'Ticks up to here are taken up; the next one follows.';
comment on column flux.cron.last_tick is 'The latest tick, or run by hand.';
comment on column flux.cron.last_reason is 'Why that ran: schedule, missed, skipped (it did not), or hand.';
comment on column flux.cron.last_state is 'What became of its job: ready, running, done, failed (will be tried again), dead …';
comment on column flux.cron.last_request_id is 'The request of its last attempt.';
comment on column flux.cron.last_error is 'How that failed.';

grant select on flux.cron to flux_reader;
