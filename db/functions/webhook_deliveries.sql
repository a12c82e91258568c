create or replace function flux.webhook_deliveries(
    webhook_name text default null,
    open_only boolean default false,
    most integer default 20
)
    returns table (
        job_id bigint,
        webhook text,
        event_id uuid,
        event_type text,
        event_time timestamptz,
        state text,
        attempt integer,
        status integer,
        request_id uuid,
        error text
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        delivery.job_id, delivery.webhook, delivery.event_id, event.type, delivery.event_time,
        outcome.state, outcome.attempt, answer.status, outcome.request_id, outcome.error
    from flux.deliveries as delivery
    left join flux.events as event
        on event.id = delivery.event_id
        and event.time = delivery.event_time
    left join lateral flux.job_outcomes(array[delivery.job_id]) as outcome on true
    left join lateral (
        select (span.attributes ->> 'http.response.status_code')::integer as status
        from flux.execution_spans as span
        where span.request_id = outcome.request_id
            and span.kind = 'tool'
        order by span.span_id desc
        limit 1
    ) as answer on true
    where (webhook_name is null or delivery.webhook = webhook_name)
        and (not open_only or outcome.state is distinct from 'done')
    order by delivery.job_id desc
    limit most
$$;

comment on function flux.webhook_deliveries(text, boolean, integer) is
    'The latest deliveries to a webhook or to all, newest first, with what the receiver answered last; open ones only, that are not done, where asked.';
