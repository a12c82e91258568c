create or replace function flux.event_members(event flux.events)
    returns jsonb
    language sql
    stable
    set search_path = ''
    set timezone = 'UTC'
as $$
    select jsonb_build_object(
        'specversion', '1.0',
        'id', event.id,
        'source', event.source,
        'type', event.type,
        'time', event.time,
        'subject', event.subject,
        'data', event.data
    )
$$;

comment on function flux.event_members(flux.events) is
    'An event as its subscribers get it, under the names of CloudEvents 1.0.';
