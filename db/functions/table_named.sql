create or replace function flux.table_named(given text)
    returns text
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    found constant text := flux.known_table(given);
begin
    if found is null then
        raise exception 'there is no table "%", and none by that name was ever recorded', given using
            errcode = 'XF801',
            hint = flux.similar_tables(given);
    end if;

    return found;
end
$$;

comment on function flux.table_named(text) is
    'The name under which a table is recorded, as flux.known_table finds it; raises XF801 with the names most like it when there is none.';
