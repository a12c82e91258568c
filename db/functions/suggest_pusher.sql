create or replace function flux.suggest_pusher(request uuid)
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
            'it is job:%s, attempt %s of %s, pushed by %s',
            subject.attributes -> 'job' ->> 'id',
            subject.attempt,
            subject.attributes -> 'job' ->> 'max_attempts',
            coalesce(
                format(
                    '%s (%s)',
                    coalesce(parent.method || ' ' || parent.path, concat_ws(' ', parent.kind, parent.function)),
                    flux.short_id(parent.request_id)
                ),
                'the request ' || flux.short_id(subject.parent_request_id) || ', which is not recorded',
                'a write or a session outside Flux'
            )
        ),
        parent.request_id,
        'flux trace ' || left(parent.request_id::text, 8)
    from flux.request_record(request) as subject
    left join flux.trace_requests as parent on parent.request_id = subject.parent_request_id
    where subject.attributes ? 'job'
        and subject.kind <> 'cron'
$$;

comment on function flux.suggest_pusher(uuid) is
    'For an attempt at a job: which request pushed it.';
