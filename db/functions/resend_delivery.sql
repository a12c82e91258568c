create or replace function flux.resend_delivery(job bigint)
    returns bigint
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    delivery flux.deliveries;
    event    flux.events;
begin
    select * into delivery from flux.deliveries as line where line.job_id = job;

    if found then
        select * into event
        from flux.events as line
        where line.id = delivery.event_id
            and line.time = delivery.event_time;
    end if;

    if event.id is null then
        raise exception 'job:% is no delivery to a webhook, or its event is forgotten', job
            using errcode = 'XF801', hint = 'Run `flux webhooks deliveries` to see those there are.';
    end if;

    return flux.deliver(delivery.webhook, event);
end
$$;

comment on function flux.resend_delivery(bigint) is
    'Sends the event of a delivery to its webhook again, as a job of its own, whatever became of the first; gives its id.';

revoke all on function flux.resend_delivery(bigint) from public;
