create or replace function flux.encoding(column_type oid)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    with recursive base (oid, typtype, typbasetype) as (
        select oid, typtype, typbasetype
        from pg_type
        where oid = column_type
        union all
        select below.oid, below.typtype, below.typbasetype
        from base
        join pg_type as below on below.oid = base.typbasetype
        where base.typtype = 'd'
    )

    select case
        when typtype = 'e' then 'exact'
        when oid in (
            'bool'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'uuid'::regtype,
            'date'::regtype, 'time'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype
        ) then 'exact'
        when oid in ('text'::regtype, 'varchar'::regtype) then 'text'
        when oid = 'bpchar'::regtype then 'padded'
        when oid = 'numeric'::regtype then 'number'
        when oid = 'jsonb'::regtype then 'document'
        when oid = 'json'::regtype then 'json'
        -- A cast to text that is a function of its own need not give what the type reads back.
        when exists (
            select
            from pg_cast
            where castsource = base.oid
                and casttarget = 'text'::regtype
                and castmethod = 'f'
        ) then 'printed'
        else 'output'
    end
    from base
    where typtype <> 'd'
$$;

comment on function flux.encoding(oid) is
    'How values of a type are compared and kept: exact, text, padded and number as JSON scalars; document as JSON; json, printed and output as text.';
