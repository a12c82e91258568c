create or replace function flux.undo_delete(target regclass, old_rows jsonb)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    with cells as (
        select
            row.ordinality as number,
            string_agg(format('%I', known.name), ', ' order by known.place) as names,
            string_agg(quote_nullable(row.content ->> known.name), ', ' order by known.place) as literals
        from jsonb_array_elements(old_rows) with ordinality as row (content, ordinality)
        cross join flux.past_columns(target) as known
        group by row.ordinality
    )

    select format(
        E'with undone as (\n    insert into %s (%s)\n    overriding system value\n    values\n        (%s)\n'
        '    returning true\n)\nselect flux.undone(count(*), %s, %L) from undone;',
        target, min(names), string_agg(literals, E'),\n        (' order by number), count(*), target
    )
    from cells
$$;

comment on function flux.undo_delete(regclass, jsonb) is
    'SQL that takes back deletes: puts the rows back, all of a table at once.';
