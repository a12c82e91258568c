create or replace function flux.recalled_default(table_name text, column_name text)
    returns text
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    recalled jsonb := nullif(current_setting('flux.recalled_values', true), '')::jsonb;
    next     text[] := array[table_name, column_name, '0'];
    value    text := recalled #>> next;
begin
    if value is not null then
        perform set_config('flux.recalled_values', (recalled #- next)::text, true);
    end if;

    return value;
end
$$;

comment on function flux.recalled_default(text, text) is
    'The next value that a replay was told a column drew then, from the session variable flux.recalled_values; null where none is left. For sandboxes.';
