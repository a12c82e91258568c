create or replace function flux.undo_where(target regclass, key jsonb, content jsonb)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    with columns as (
        select
            string_agg(guard, ' and ' order by place)
                filter (where guard is not null and not coalesce(key ? name, false)) as guards,
            string_agg(format('present.%I = %s', name, quote_nullable(key ->> name)), ' and ' order by place)
                filter (where key ? name) as key
        from (
            select place, name, guard from flux.undo_columns(target, content || coalesce(key, '{}'))
        ) as listed
    )

    select case
        when key is not null then concat_ws(' and ', columns.key, columns.guards)
        -- Nothing tells the rows apart: any one that looks the same.
        else format(
            '(present.tableoid, present.ctid) = (select present.tableoid, present.ctid from %s as present where %s limit 1)',
            target, columns.guards
        )
    end
    from columns
$$;

comment on function flux.undo_where(regclass, jsonb, jsonb) is
    'The condition that finds a row as a write left it.';
