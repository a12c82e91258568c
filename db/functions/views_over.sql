create or replace function flux.views_over(tables text[])
    returns setof text
    language sql
    stable
    set search_path = ''
as $$
    with recursive over (oid) as (
        select class.oid
        from pg_class as class
        where class.relkind in ('r', 'p')
            and flux.logical_name(class.oid::regclass) = any (tables)

        union

        select view.oid
        from over
        join pg_depend as dependency
            on dependency.refclassid = 'pg_class'::regclass
            and dependency.refobjid = over.oid
            and dependency.classid = 'pg_rewrite'::regclass
        join pg_rewrite as rule on rule.oid = dependency.objid
        join pg_class as view on view.oid = rule.ev_class
        where view.relkind in ('v', 'm')
            and view.relnamespace <> 'flux'::regnamespace
    )

    select over.oid::regclass::text
    from over
$$;

comment on function flux.views_over(text[]) is
    'Tables with their partitions, and the views that read them, at any depth.';
