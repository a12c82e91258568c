create or replace function flux.suggest_slowest_step(request uuid)
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
        case when slowest.span_id is null then 'unknown' else 'certain' end,
        case
            when slowest.span_id is null then 'no step was recorded, so it is not known where the time went'
            else format(
                '%s ms of %s ms went into step %s, %s %s%s',
                round(slowest.self_us / 1000.0, 1), round(subject.duration_us / 1000.0, 1),
                slowest.span_id, slowest.kind, slowest.name,
                case when slowest.kind = 'function' then ' itself: its own code, not a call' else '' end
            )
        end,
        null::uuid,
        coalesce(flux.suggested_index(slowest.sql), 'flux trace ' || left(request::text, 8) || ' --flame')
    from flux.trace_requests as subject
    left join lateral (
        select *
        from flux.span_tree(request) as step
        order by step.self_us desc nulls last
        limit 1
    ) as slowest on true
    where subject.request_id = request
$$;

comment on function flux.suggest_slowest_step(uuid) is
    'For a timeout: the step that took the time.';
