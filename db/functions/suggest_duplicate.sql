create or replace function flux.suggest_duplicate(request uuid, step integer)
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
    with violation as materialized (
        select
            flux.known_table(span.error ->> 'table') as target,
            flux.key_in_detail(span.error ->> 'detail') as wanted
        from flux.execution_spans as span
        where span.request_id = request
            and span.span_id = step
    )

    select
        case when write.id is null then 'unknown' else 'certain' end,
        case
            when violation.wanted is null then 'the record does not say which values were there already'
            when write.id is null then format(
                'no recorded write put %s into %s: that row is older than the record, or was written unrecorded',
                flux.key_text(violation.wanted), flux.short_table(violation.target)
            )
            when write.request_id = request then format(
                'this request itself had written %s into %s before, in step %s',
                flux.key_text(violation.wanted), flux.short_table(violation.target), write.span_id
            )
            else format(
                '%s wrote the row that is in the way: %s %s, at %s',
                coalesce(flux.short_id(write.request_id), write.actor, 'an unknown writer'),
                flux.short_table(violation.target),
                coalesce(flux.key_text(write.row_key), flux.key_text(violation.wanted)),
                to_char(write.recorded_at, 'YYYY-MM-DD HH24:MI:SS')
            )
        end,
        nullif(write.request_id, request),
        coalesce(flux.history_command(violation.target, write.row_key), 'flux trace ' || left(write.request_id::text, 8))
    from violation
    left join lateral flux.last_write_of(violation.target, violation.wanted, array['INSERT', 'UPDATE'], request)
        as write on true

    union all

    select
        'likely',
        format('if it may be there already, say so: insert … on conflict (%s) do nothing, or answer 409',
            (select string_agg(names.name, ', ') from jsonb_object_keys(violation.wanted) as names (name))),
        null, null
    from violation
    where violation.wanted is not null
$$;

comment on function flux.suggest_duplicate(uuid, integer) is
    'For a unique violation: the request that wrote the row that is in the way.';
