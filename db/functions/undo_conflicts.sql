create or replace function flux.undo_conflicts(request uuid)
    returns table (
        table_name   text,
        row_key      jsonb,
        request_id   uuid,
        actor        text,
        function     text,
        recorded_at  timestamptz
    )
    language sql
    stable
    set search_path = ''
as $$
    with own as (
        select mutation.id, mutation.table_name, mutation.row_key, mutation.previous_key
        from flux.state_mutations as mutation
        where mutation.request_id = undo_conflicts.request
            and not mutation.rolled_back
            and mutation.row_key is not null
    ),

    rows as (
        select own.table_name, name.row_key, max(own.id) as last_id
        from own
        cross join lateral (values (own.row_key), (own.previous_key)) as name (row_key)
        where name.row_key is not null
        group by own.table_name, name.row_key
    ),

    later as (
        select rows.table_name, rows.row_key, mutation.request_id, mutation.actor, mutation.recorded_at
        from rows
        join flux.state_mutations as mutation
            on mutation.table_name = rows.table_name
            and mutation.row_key = rows.row_key
            and mutation.id > rows.last_id
        where not mutation.rolled_back

        union

        select rows.table_name, rows.row_key, mutation.request_id, mutation.actor, mutation.recorded_at
        from rows
        join flux.state_mutations as mutation
            on mutation.table_name = rows.table_name
            and mutation.previous_key = rows.row_key
            and mutation.id > rows.last_id
        where not mutation.rolled_back
    ),

    -- Later writes that were taken back themselves left the row as it was.
    changed as (
        select distinct on (rows.table_name, rows.row_key) rows.*
        from rows
        join later on later.table_name = rows.table_name and later.row_key = rows.row_key
        where flux.row_after(rows.table_name, rows.row_key, rows.last_id)
            is distinct from nullif(flux.present_row(rows.table_name, rows.row_key), '{}')
    )

    select
        later.table_name, later.row_key, later.request_id, later.actor,
        (
            select writer.function
            from flux.trace_requests as writer
            where writer.request_id = later.request_id
            limit 1
        ),
        min(later.recorded_at)
    from later
    join changed on changed.table_name = later.table_name and changed.row_key = later.row_key
    where later.request_id is distinct from undo_conflicts.request
    group by later.table_name, later.row_key, later.request_id, later.actor
    order by 6
$$;

comment on function flux.undo_conflicts(uuid) is
    'Who wrote the rows of a request after it, so that its writes cannot be taken back by themselves.';
