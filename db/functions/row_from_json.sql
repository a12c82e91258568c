create or replace function flux.row_from_json(prototype anyelement, content jsonb)
    returns anyelement
    language plpgsql
    stable
    set search_path = ''
    set timezone = 'UTC'
    set datestyle = 'ISO, MDY'
    set intervalstyle = 'postgres'
    set lc_monetary = 'C'
as $$
declare
    relation regclass := (select typrelid from pg_type where oid = pg_typeof(prototype));
    members  text;
begin
    select string_agg(
        case attribute.attgenerated
            when 'v' then 'null'
            else format(
                '($1 ->> %L)::%s', attribute.attname, format_type(attribute.atttypid, attribute.atttypmod)
            )
        end,
        ', ' order by attribute.attnum
    )
    into members
    from pg_attribute as attribute
    where attribute.attrelid = relation
        and attribute.attnum > 0
        and not attribute.attisdropped;

    execute format('select (row(%s)::%s).*', members, relation) into prototype using content;
    return prototype;
end
$$;

comment on function flux.row_from_json(anyelement, jsonb) is
    'A row of the prototype''s type from what a mutation keeps: flux.row_from_json(null::public.users, content).';
