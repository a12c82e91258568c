-- What starts jobs by itself: schedules, subscriptions to events, hooks on tables. The first three tables say what the
-- functions that were loaded last declare; flux.declare_handoffs() writes them.

create table flux.schedules (
    function    text        primary key,
    expression  text        not null,
    timezone    text        not null,
    missed      text        not null,
    since       timestamptz not null default now(),
    last_tick   timestamptz,
    paused_at   timestamptz,
    constraint missed_is_known check (missed in ('once', 'skip'))
);

comment on table flux.schedules is 'Functions that run by the clock. People read flux.cron.';
comment on column flux.schedules.function is 'The function it runs.';
comment on column flux.schedules.expression is 'Minute, hour, day, month, weekday; with six fields, seconds come first.';
comment on column flux.schedules.timezone is 'The IANA time zone in which the expression is meant.';
comment on column flux.schedules.missed is 'What becomes of ticks in a time when no worker ran: once (one run for all of them) or skip.';
comment on column flux.schedules.since is 'Ticks count from here: when it was declared, changed or resumed.';
comment on column flux.schedules.last_tick is 'The latest tick that was taken up, or skipped.';
comment on column flux.schedules.paused_at is 'When it was paused by hand; null while it goes.';

create table flux.cron_ticks (
    function  text        not null,
    tick      timestamptz not null,
    reason    text        not null,
    skipped   integer     not null default 0,
    job_id    bigint,
    taken_at  timestamptz not null default clock_timestamp(),
    primary key (function, tick),
    constraint reason_is_known check (reason in ('schedule', 'missed', 'skipped', 'hand')),
    constraint skipped_not_negative check (skipped >= 0),
    constraint job_unless_skipped check ((job_id is null) = (reason = 'skipped'))
);

create index cron_ticks_by_time on flux.cron_ticks (tick);

comment on table flux.cron_ticks is
    'A row a tick, made together with its job: that there can be one only is why a tick runs once, however many workers there are.';
comment on column flux.cron_ticks.function is 'The function that runs.';
comment on column flux.cron_ticks.tick is 'The moment the schedule names; of a run by hand, when that was asked for.';
comment on column flux.cron_ticks.reason is
    'schedule, missed (made up for later), skipped (no worker ran then, and it was not made up for), or hand.';
comment on column flux.cron_ticks.skipped is 'Ticks before this one, back to the one taken up before, that were not run; 1000 means that many or more.';
comment on column flux.cron_ticks.job_id is 'Its job; null when it was skipped.';
comment on column flux.cron_ticks.taken_at is 'When a worker took it up.';

create table flux.events (
    id          uuid        not null default gen_random_uuid(),
    source      text        not null,
    type        text        not null collate "C",
    subject     text,
    time        timestamptz not null default clock_timestamp(),
    data        jsonb,
    request_id  uuid,
    span_id     integer,
    primary key (id, time)
)
partition by range (time);

create table flux.events_default partition of flux.events default;

create index events_by_time on flux.events (time);
create index events_by_type on flux.events (type, time);

comment on table flux.events is
    'Events that were published, under the names of CloudEvents. Forgotten with the records of their day.';
comment on column flux.events.id is 'Random; receivers tell repeated deliveries by it.';
comment on column flux.events.source is 'Where it comes from: /project/function, or /database/role for one published by hand.';
comment on column flux.events.type is 'What happened, in words between dots: order.paid.';
comment on column flux.events.subject is 'What it happened to, where the publisher says so.';
comment on column flux.events.time is 'When it was published.';
comment on column flux.events.data is 'What the publisher says about it.';
comment on column flux.events.request_id is 'The request that published it; null from outside Flux.';
comment on column flux.events.span_id is 'The span of that request.';

create table flux.deliveries (
    job_id      bigint      primary key,
    webhook     text        not null,
    event_id    uuid        not null,
    event_time  timestamptz not null
);

create index deliveries_by_time on flux.deliveries (event_time);

comment on table flux.deliveries is
    'Which job takes which event to which webhook; kept as long as the event, so that it can be sent again.';
comment on column flux.deliveries.job_id is 'The job that delivers it.';
comment on column flux.deliveries.webhook is 'Name of the webhook in flux.toml.';
comment on column flux.deliveries.event_id is 'The event.';
comment on column flux.deliveries.event_time is 'When the event was published, which finds it in flux.events.';

create table flux.subscriptions (
    kind        text not null,
    subscriber  text not null,
    pattern     text not null collate "C",
    primary key (kind, subscriber, pattern),
    constraint kind_is_known check (kind in ('function', 'webhook'))
);

comment on table flux.subscriptions is 'Who gets which events. People read flux.subscribers.';
comment on column flux.subscriptions.kind is 'function, or webhook of flux.toml.';
comment on column flux.subscriptions.subscriber is 'Name of the function or the webhook.';
comment on column flux.subscriptions.pattern is
    'Event types: * stands for one word, at the end for one or more; order.* is everything below order.';

create table flux.hooks (
    function     text        primary key,
    table_name   text        not null,
    operations   text[]      not null,
    condition    text,
    fault        text,
    declared_at  timestamptz not null default now()
);

comment on table flux.hooks is
    'Functions that run after writes of a table; the triggers that fire them are on the tables themselves.';
comment on column flux.hooks.function is 'The function that runs.';
comment on column flux.hooks.table_name is 'The table as the function names it.';
comment on column flux.hooks.operations is 'insert, update, delete.';
comment on column flux.hooks.condition is 'SQL over new and old that must be true; null for every write.';
comment on column flux.hooks.fault is 'Why it cannot fire, when it was declared last; null when it can.';
comment on column flux.hooks.declared_at is 'When it was declared or changed.';

revoke all on flux.schedules, flux.cron_ticks, flux.events, flux.deliveries, flux.subscriptions, flux.hooks from public;
grant select on flux.schedules, flux.cron_ticks, flux.events, flux.deliveries, flux.subscriptions, flux.hooks to flux_reader;
