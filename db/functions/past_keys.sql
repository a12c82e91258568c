create or replace function flux.past_keys(target regclass)
    returns table (place bigint, name text, type_name text, operator text)
    language sql
    stable
    set search_path = ''
as $$
    select
        part.place,
        attribute.attname::text,
        format_type(attribute.atttypid, attribute.atttypmod),
        -- The equality of the index itself: another of the same name may be found first, or none.
        format('operator(%I.%s)', operator_schema.nspname, operator.oprname)
    from pg_index as key
    cross join lateral unnest(key.indkey::int2[], key.indclass::oid[]) with ordinality
        as part (attnum, opclass, place)
    join pg_attribute as attribute
        on attribute.attrelid = key.indrelid
        and attribute.attnum = part.attnum
    join pg_opclass as opclass on opclass.oid = part.opclass
    join pg_amop as member
        on member.amopfamily = opclass.opcfamily
        and member.amoplefttype = opclass.opcintype
        and member.amoprighttype = opclass.opcintype
        and member.amopstrategy = 3
    join pg_operator as operator on operator.oid = member.amopopr
    join pg_namespace as operator_schema on operator_schema.oid = operator.oprnamespace
    where key.indrelid = target
        and key.indisprimary
        and flux.key_columns(target) is not null
    order by part.place
$$;

comment on function flux.past_keys(regclass) is
    'The columns that name the rows of a table, with their types and the operators by which the key''s index compares them.';
