create or replace function flux.suggest_broken(request uuid)
    returns table (
        certainty   text,
        suggestion  text,
        about       uuid,
        command     text
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        'certain',
        format(
            'mend %s: until it can be loaded, every route of that module answers like this', subject.error_location
        ),
        null::uuid,
        'flux doctor'
    from flux.trace_requests as subject
    where subject.request_id = request
$$;

comment on function flux.suggest_broken(uuid) is
    'What to do when the module of a function cannot be loaded.';
