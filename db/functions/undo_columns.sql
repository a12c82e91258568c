create or replace function flux.undo_columns(target regclass, content jsonb)
    returns table (place integer, name text, assigned text, guard text)
    language sql
    stable
    set search_path = ''
as $$
    select
        known.place,
        known.name,
        quote_nullable(content ->> known.name),
        case
            when (content -> known.name)::text like '%[redacted]%' then null
            when flux.encoding(attribute.atttypid) in ('exact', 'text', 'padded', 'number', 'document')
                then format('present.%I is not distinct from %L', known.name, content ->> known.name)
            else format('present.%I::text is not distinct from %L', known.name, content ->> known.name)
        end
    from flux.past_columns(target) as known
    join pg_attribute as attribute
        on attribute.attrelid = target
        and attribute.attname = known.name
    where content ? known.name
$$;

comment on function flux.undo_columns(regclass, jsonb) is
    'The columns of a table that a row of the record has: each value as a literal, and the condition that it is still that.';
