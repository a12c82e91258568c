create or replace function flux.similar_tables(given text)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    with known as (
        select flux.logical_name(class.oid::regclass) as name, class.relname::text as bare
        from pg_catalog.pg_class as class
        join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
        where class.relkind in ('r', 'p')
            and not class.relispartition
            and namespace.nspname not in ('pg_catalog', 'information_schema', 'flux')
            and namespace.nspname !~ '^pg_'
    ),

    ranked as (
        select regexp_replace(known.name, '^public\.', '') as name
        from known
        order by
            (
                select count(*)
                from generate_series(1, length(given) - 1) as at
                where strpos(lower(known.bare), lower(substr(given, at, 2))) > 0
            ) desc,
            known.name
        limit 5
    )

    select coalesce('Tables here: ' || string_agg(ranked.name, ', ') || '.', 'This database has no tables yet.')
    from ranked;
$$;

comment on function flux.similar_tables(text) is
    'A hint for a table name that does not exist: the five most like it.';
