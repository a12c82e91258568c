create or replace function flux.foreign_key_of(constraint_name text, child text)
    returns jsonb
    language sql
    stable
    set search_path = ''
as $$
    -- In "still referenced" Postgres names the parent as the table, so either side may match.
    select jsonb_build_object(
        'child', flux.logical_name(key.conrelid::regclass),
        'parent', flux.logical_name(key.confrelid::regclass),
        'to_parent', jsonb_object_agg(own.attname, other.attname),
        'to_child', jsonb_object_agg(other.attname, own.attname)
    )
    from pg_constraint as key
    cross join lateral unnest(key.conkey, key.confkey) as pair (own, other)
    join pg_attribute as own on own.attrelid = key.conrelid and own.attnum = pair.own
    join pg_attribute as other on other.attrelid = key.confrelid and other.attnum = pair.other
    where key.contype = 'f'
        and key.conname = constraint_name
        and key.conparentid = 0
    group by key.oid, key.conrelid, key.confrelid
    order by
        flux.known_table(child) in (flux.logical_name(key.conrelid::regclass), flux.logical_name(key.confrelid::regclass)) desc nulls last
    limit 1
$$;

comment on function flux.foreign_key_of(text, text) is
    'The two tables of a foreign key, and which column of one is which of the other; null when the constraint is gone.';
