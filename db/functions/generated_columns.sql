create or replace function flux.generated_columns()
    returns table (
        table_name   text,
        column_name  text,
        kind         text,
        sequence     text
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        flux.logical_name(attribute.attrelid::regclass),
        attribute.attname::text,
        case
            when source.sequence is not null then 'sequence'
            when source.expression ~* '\m(now|\w+_timestamp|timeofday)\(|\m(current_(timestamp|date|time)|localtime(stamp)?)\M'
                then 'time'
            else 'random'
        end,
        source.sequence
    from flux.recordable_tables() as listed (target)
    join pg_attribute as attribute on attribute.attrelid = listed.target
    left join pg_attrdef as given
        on given.adrelid = attribute.attrelid
        and given.adnum = attribute.attnum
    cross join lateral (
        select
            pg_get_expr(given.adbin, given.adrelid) as expression,
            flux.sequence_of(attribute.attrelid, attribute.attnum) as sequence
    ) as source
    where attribute.attnum > 0
        and not attribute.attisdropped
        and attribute.attgenerated = ''
        and (
            source.sequence is not null
            or source.expression ~* '\m(now|\w+_timestamp|timeofday)\(|\m(current_(timestamp|date|time)|localtime(stamp)?)\M'
            or source.expression ~* '\m(gen_random_\w+|uuid\w*|random\w*)\('
            or exists (
                select
                from pg_depend as dependency
                join pg_proc as function on function.oid = dependency.refobjid
                where dependency.classid = 'pg_attrdef'::regclass
                    and dependency.objid = given.oid
                    and dependency.refclassid = 'pg_proc'::regclass
                    and function.provolatile = 'v'
            )
        )
$$;

comment on function flux.generated_columns() is
    'Columns whose values Postgres makes itself: from a sequence, from the time, or at random.';
