create or replace function flux.recall_defaults()
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    target record;
begin
    for target in
        select
            drawn.table_name,
            drawn.column_name,
            attribute.attrelid::regclass as relation,
            format_type(attribute.atttypid, attribute.atttypmod) as type,
            pg_get_expr(given.adbin, given.adrelid) as expression
        from flux.generated_columns() as drawn
        join pg_attribute as attribute
            on attribute.attrelid = to_regclass(drawn.table_name)
            and attribute.attname = drawn.column_name
        join pg_attrdef as given
            on given.adrelid = attribute.attrelid
            and given.adnum = attribute.attnum
        where drawn.sequence is null
    loop
        execute format(
            'alter table %s alter column %I set default coalesce(flux.recalled_default(%L, %L)::%s, %s)',
            target.relation, target.column_name, target.table_name, target.column_name, target.type, target.expression
        );
    end loop;
end
$$;

comment on function flux.recall_defaults() is
    'Makes columns whose defaults are drawn at random or from the time take the values that a replay is told first. For sandboxes.';

revoke all on function flux.recall_defaults() from public;
