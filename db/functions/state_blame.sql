create or replace function flux.state_blame(target text, row_key jsonb)
    returns table (
        name         text,
        value        jsonb,
        request_id   uuid,
        recorded_at  timestamptz,
        function     text,
        code_sha     text,
        method       text,
        path         text,
        actor        text,
        operation    text,
        mutation_id  bigint,
        later        uuid,
        note         text,
        row_state    text
    )
    language sql
    stable
    set search_path = ''
as $$
    with life as materialized (
        select *
        from flux.row_mutations(target, state_blame.row_key, last_life => true)
    ),

    present as materialized (
        select
            seen.columns,
            flux.row_state(target, state_blame.row_key, seen.columns) as row_state,
            (select life.old_values from life where not life.rolled_back order by life.id desc limit 1) as last_seen
        from (select flux.present_row(target, state_blame.row_key)) as seen (columns)
    ),

    names as (
        select jsonb_object_keys(present.columns) as name from present
        union
        select jsonb_object_keys(coalesce(life.new_values, life.old_values)) from life where not life.rolled_back
    )

    select
        names.name,
        case
            when write.id is not null then write.new_values -> names.name
            else coalesce(nullif(present.columns, '{}'), present.last_seen) -> names.name
        end,
        write.request_id,
        write.recorded_at,
        request.function,
        request.code_sha,
        request.method,
        request.path,
        coalesce(write.actor, request.actor),
        write.operation,
        write.id,
        tried.request_id,
        flux.blame_note(
            write.new_values -> names.name,
            present.columns -> names.name,
            tried.operation,
            coalesce(flux.short_id(tried.request_id), 'of ' || tried.actor)
        ),
        present.row_state
    from names
    cross join present
    left join pg_attribute as attribute
        on attribute.attrelid = to_regclass(target)
        and attribute.attname = names.name
    left join lateral (
        select *
        from life
        where not life.rolled_back
            and life.new_values ? names.name
            and (life.operation = 'INSERT' or life.old_values -> names.name is distinct from life.new_values -> names.name)
        order by life.id desc
        limit 1
    ) as write on true
    left join lateral (
        select *
        from life
        where life.rolled_back
            and life.id > coalesce(write.id, 0)
            and coalesce(life.new_values, life.old_values) ? names.name
        order by life.id desc
        limit 1
    ) as tried on true
    left join flux.trace_requests as request on request.request_id = write.request_id
    where attribute.attname is not null
        or to_regclass(target) is null
    order by attribute.attnum, names.name
$$;

comment on function flux.state_blame(text, jsonb) is
    'For each column of a row: its value, and the request that wrote it; with a note where a later attempt was rolled back, or the table says otherwise.';
