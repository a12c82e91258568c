create or replace function flux.suggest_reference(request uuid, step integer)
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
            span.error ->> 'detail' ~ 'still referenced' as referenced,
            flux.foreign_key_of(span.error ->> 'constraint', span.error ->> 'table') as sides,
            flux.key_in_detail(span.error ->> 'detail') as wanted
        from flux.execution_spans as span
        where span.request_id = request
            and span.span_id = step
    ),

    -- What to look for: the parent row that is missing, or the child row that still points to it.
    looked_for as materialized (
        select
            violation.referenced,
            case when violation.referenced then violation.sides ->> 'child' else violation.sides ->> 'parent' end as target,
            (
                select jsonb_object_agg(pair.other, violation.wanted ->> pair.own)
                from jsonb_each_text(violation.sides -> case when violation.referenced then 'to_child' else 'to_parent' end)
                    as pair (own, other)
            ) as wanted
        from violation
    )

    select
        case when write.id is null then 'unknown' else 'certain' end,
        case
            when looked_for.wanted is null then 'the record does not say which row was referred to'
            when write.id is not null and looked_for.referenced then format(
                '%s wrote the row of %s that still refers to it: %s',
                coalesce(flux.short_id(write.request_id), write.actor), flux.short_table(looked_for.target),
                flux.key_text(coalesce(write.row_key, looked_for.wanted))
            )
            when write.id is not null then format(
                '%s deleted %s from %s at %s',
                case when write.request_id = request then 'this request itself' else coalesce(flux.short_id(write.request_id), write.actor) end,
                flux.key_text(looked_for.wanted), flux.short_table(looked_for.target),
                to_char(write.recorded_at, 'YYYY-MM-DD HH24:MI:SS')
            )
            when looked_for.referenced then format('no recorded write put %s into %s', flux.key_text(looked_for.wanted), flux.short_table(looked_for.target))
            else format(
                'no row %s was ever seen to leave %s: it never was there, or went unrecorded',
                flux.key_text(looked_for.wanted), flux.short_table(looked_for.target)
            )
        end,
        nullif(write.request_id, request),
        flux.history_command(looked_for.target, coalesce(write.row_key, looked_for.wanted))
    from looked_for
    left join lateral flux.last_write_of(
        looked_for.target, looked_for.wanted,
        case when looked_for.referenced then array['INSERT', 'UPDATE'] else array['DELETE', 'TRUNCATE'] end, request
    ) as write on true
$$;

comment on function flux.suggest_reference(uuid, integer) is
    'For a foreign-key violation: the request that deleted the parent row, or the one that wrote the row which still refers to it.';
