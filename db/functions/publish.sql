create or replace function flux.publish(
    type text,
    data jsonb default '{}',
    subject text default null,
    source text default null
)
    returns uuid
    language plpgsql
    volatile
    security definer
    set search_path = ''
as $$
#variable_conflict use_variable
declare
    most  constant bigint := flux.setting_number('payload_limit', 1048576);
    event flux.events;
begin
    if type is null or type !~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' then
        raise exception '% is not the type of an event', coalesce(quote_literal(type), 'null')
            using errcode = 'XF521', hint = 'Write words of letters, digits, - and _ between dots: order.paid.';
    end if;

    if octet_length(data::text) > most then
        raise exception 'the data of event % has % bytes, more than % bytes', type, octet_length(data::text), most
            using
                errcode = 'XF522',
                hint = 'Store it in a table and publish its key, or raise [queue] payload_limit in flux.toml.';
    end if;

    if flux.nested_too_deep(jsonb_build_array(jsonb_build_array(data))) then
        raise exception 'the data of event % is nested deeper than 200 levels', type
            using errcode = 'XF521', hint = 'Store it in a table and publish its key.';
    end if;

    insert into flux.events (source, type, subject, data, request_id, span_id)
    values (
        coalesce(source, '/' || current_database() || '/' || session_user), type, subject, data,
        flux.current_request_id(), flux.current_span_id()
    )
    returning * into event;

    perform case subscription.kind
        when 'webhook' then flux.deliver(subscription.subscriber, event)
        else flux.add_job(kind => 'event', function => subscription.subscriber, input => flux.event_members(event))
    end
    from (
        select distinct there.kind, there.subscriber
        from flux.subscriptions as there
        where flux.event_matches(type, there.pattern)
    ) as subscription;

    return event.id;
end
$$;

comment on function flux.publish(text, jsonb, text, text) is
    'Publishes an event in this transaction, with one job for each subscriber: select flux.publish(''order.paid'', ''{"order": 42}''); gives its id.';

revoke all on function flux.publish(text, jsonb, text, text) from public;

grant execute on function flux.publish(text, jsonb, text, text) to flux_app;
