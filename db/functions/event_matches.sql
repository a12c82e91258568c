create or replace function flux.event_matches(event_type text, pattern text)
    returns boolean
    language sql
    immutable
    set search_path = ''
as $$
    select event_type ~ (
        '^'
        || regexp_replace(
            regexp_replace(replace(pattern, '.', '\.'), '\*$', '.+'),
            '\*', '[^.]+', 'g'
        )
        || '$'
    )
$$;

comment on function flux.event_matches(text, text) is
    'Whether an event type fits a pattern: * stands for one word between dots, at the end for one or more.';
