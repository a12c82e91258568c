create or replace view flux.slow_queries as
select
    span.attributes ->> 'db.query.text' as sql,
    count(*) as calls,
    round(sum(span.duration_us) / 1000.0, 1) as total_ms,
    round(avg(span.duration_us) / 1000.0, 1) as mean_ms,
    round((percentile_cont(0.95) within group (order by span.duration_us) / 1000.0)::numeric, 1) as p95_ms,
    round(max(span.duration_us) / 1000.0, 1) as max_ms,
    count(*) filter (where span.error is not null) as failures,
    (array_agg(span.request_id order by span.duration_us desc))[1] as slowest_request_id
from flux.execution_spans as span
where span.kind = 'db'
    and span.attributes ? 'db.query.text'
    and span.request_id not in (
        select replay.request_id from flux.trace_requests as replay where replay.replay_of is not null
    )
group by span.attributes ->> 'db.query.text';

comment on view flux.slow_queries is
    'Statements by text, with how often and how long they ran: select * from flux.slow_queries order by total_ms desc limit 20. Replays are left out.';
comment on column flux.slow_queries.sql is 'Text of the statement, with placeholders.';
comment on column flux.slow_queries.calls is 'How often it ran.';
comment on column flux.slow_queries.total_ms is 'Time of all runs, in milliseconds.';
comment on column flux.slow_queries.mean_ms is 'Mean time of a run.';
comment on column flux.slow_queries.p95_ms is 'Time that 95 of 100 runs stayed below.';
comment on column flux.slow_queries.max_ms is 'Time of the slowest run.';
comment on column flux.slow_queries.failures is 'Runs that failed.';
comment on column flux.slow_queries.slowest_request_id is 'The request with the slowest run.';

grant select on flux.slow_queries to flux_reader;
