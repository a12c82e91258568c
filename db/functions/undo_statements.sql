create or replace function flux.undo_statements(request uuid)
    returns table (
        table_name  text,
        row_keys    jsonb,
        lost        text,
        statement   text
    )
    language sql
    stable
    set search_path = ''
as $$
    with own as (
        select
            mutation.*,
            mutation.operation in ('DELETE', 'TRUNCATE') as is_gone,
            row_number() over (order by mutation.id desc) as place
        from flux.state_mutations as mutation
        where mutation.request_id = undo_statements.request
            and not mutation.rolled_back
    ),

    -- Rows that one step deleted are put back together: by one statement a table, tables before those that refer to
    -- them, so that a foreign key never misses its row.
    runs as (
        select
            own.*,
            case
                when own.is_gone then
                    own.place - row_number() over (partition by own.is_gone order by own.place)
                else own.place
            end as run,
            case when own.is_gone then flux.foreign_key_depth(to_regclass(own.table_name)) else 0 end as depth
        from own
    )

    select
        runs.table_name,
        jsonb_agg(runs.row_key order by runs.id desc),
        flux.undo_obstacle(runs.table_name, array_agg(runs.id order by runs.id desc)),
        case
            when to_regclass(runs.table_name) is null then null
            when runs.is_gone then
                flux.undo_delete(to_regclass(runs.table_name), jsonb_agg(runs.old_values order by runs.id))
            when min(runs.operation) = 'INSERT' then
                flux.undo_insert(
                    to_regclass(runs.table_name), (array_agg(runs.row_key))[1], (array_agg(runs.new_values))[1]
                )
            else
                flux.undo_update(
                    to_regclass(runs.table_name), (array_agg(runs.row_key))[1], (array_agg(runs.previous_key))[1],
                    (array_agg(runs.old_values))[1], (array_agg(runs.new_values))[1]
                )
        end
    from runs
    group by runs.is_gone, runs.run, runs.depth, runs.table_name
    order by min(min(runs.place)) over (partition by runs.is_gone, runs.run), runs.depth, min(runs.place)
$$;

comment on function flux.undo_statements(uuid) is
    'SQL that takes back what a request committed, newest first, each statement guarded by the values it left; lost says why one cannot be had.';
