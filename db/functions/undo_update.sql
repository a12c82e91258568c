create or replace function flux.undo_update(
    target regclass, key jsonb, previous_key jsonb, old_values jsonb, new_values jsonb
)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select format(
        E'with undone as (\n    update %s as present\n    set %s\n    where %s\n    returning true\n)\n'
        'select flux.undone(count(*), 1, %L) from undone;',
        target,
        (
            select string_agg(format('%I = %s', name, assigned), ', ' order by place)
            from flux.undo_columns(target, old_values)
            -- A moved row is kept whole; what did not change need not be said.
            where key is null
                or new_values ? name
        ),
        flux.undo_where(target, key, new_values),
        concat_ws(' ', target::text, flux.key_text(key))
    )
$$;

comment on function flux.undo_update(regclass, jsonb, jsonb, jsonb, jsonb) is
    'SQL that takes back an update: puts the old values where the new ones still are.';
