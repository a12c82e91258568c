create or replace function flux.events_published(
    pattern text default null,
    since timestamptz default null,
    most integer default 20
)
    returns setof flux.events
    language sql
    stable
    set search_path = ''
as $$
    select event.*
    from flux.events as event
    where (pattern is null or flux.event_matches(event.type, pattern))
        and event.time >= coalesce(since, '-infinity')
    order by event.time desc
    limit most
$$;

comment on function flux.events_published(text, timestamptz, integer) is
    'The latest events, newest first: of types that fit a pattern, since a moment.';
