create or replace function flux.suggested_index(sql text)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    -- Read by rule: the first table after from/update, and the first column compared with a value after where.
    with parts as (
        select
            (regexp_match(sql, '\m(?:from|update|delete\s+from)\s+(?:only\s+)?((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)', 'i'))[1] as target,
            (regexp_match(sql, '\mwhere\s+(?:"?\w+"?\.)?"?(\w+)"?\s*(?:=|in\M|>|<|between\M)', 'i'))[1] as column_name
    ),

    found as (
        select class.oid, attribute.attnum, attribute.attname, class.oid::regclass as target
        from parts
        join pg_class as class
            on class.oid = coalesce(to_regclass(parts.target), to_regclass('public.' || parts.target))
            and class.relkind in ('r', 'p')
        join pg_attribute as attribute
            on attribute.attrelid = class.oid
            and lower(attribute.attname) = lower(parts.column_name)
            and not attribute.attisdropped
    )

    select format('create index on %s (%I)', regexp_replace(found.target::text, '^public\.', ''), found.attname)
    from found
    where not exists (
        select
        from pg_index as existing
        where existing.indrelid = found.oid
            and existing.indkey[0] = found.attnum
            and existing.indisvalid
    )
$$;

comment on function flux.suggested_index(text) is
    'The index a statement''s first condition lacks, as SQL; null when there is one, or when the statement cannot be read by rule.';
