create or replace function flux.sequence_of(target oid, attribute_number smallint)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select sequence.oid::regclass::text
    from (
        -- An identity column owns its sequence; any other default depends on the one it draws from.
        select dependency.objid as sequence_id
        from pg_depend as dependency
        where dependency.classid = 'pg_class'::regclass
            and dependency.refclassid = 'pg_class'::regclass
            and dependency.refobjid = target
            and dependency.refobjsubid = attribute_number
            and dependency.deptype = 'i'

        union all

        select dependency.refobjid
        from pg_attrdef as given
        join pg_depend as dependency
            on dependency.classid = 'pg_attrdef'::regclass
            and dependency.objid = given.oid
            and dependency.refclassid = 'pg_class'::regclass
        where given.adrelid = target
            and given.adnum = attribute_number
    ) as found
    join pg_class as sequence
        on sequence.oid = found.sequence_id
        and sequence.relkind = 'S'
    limit 1
$$;

comment on function flux.sequence_of(oid, smallint) is
    'The sequence that a column''s values come from, quoted where needed; null for none.';
