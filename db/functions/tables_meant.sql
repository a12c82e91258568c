create or replace function flux.tables_meant(names text[])
    returns table (
        name        text,
        table_name  text
    )
    language sql
    stable
    set search_path = ''
as $$
    with recursive meant as (
        select given.name, class.oid, class.relkind
        from unnest(names) as given (name)
        join pg_class as class on lower(class.relname) = given.name
        join pg_namespace as namespace on namespace.oid = class.relnamespace
        where class.relkind in ('r', 'p', 'v', 'm')
            and namespace.nspname not in ('pg_catalog', 'information_schema', 'flux')
            and namespace.nspname !~ '^pg_(toast|temp)'

        union

        -- What a view is made of.
        select meant.name, class.oid, class.relkind
        from meant
        join pg_rewrite as rule on rule.ev_class = meant.oid
        join pg_depend as dependency
            on dependency.classid = 'pg_rewrite'::regclass
            and dependency.objid = rule.oid
            and dependency.refclassid = 'pg_class'::regclass
            and dependency.refobjid <> meant.oid
        join pg_class as class on class.oid = dependency.refobjid
        where meant.relkind in ('v', 'm')
            and class.relkind in ('r', 'p', 'v', 'm')
    )

    select distinct meant.name, flux.logical_name(meant.oid::regclass)
    from meant
    where meant.relkind in ('r', 'p')
$$;

comment on function flux.tables_meant(text[]) is
    'The tables that names may stand for, given in lower case without their schema: tables of any schema, and those that a view reads.';
