create or replace function flux.history_command(target text, row_key jsonb)
    returns text
    language sql
    immutable
    set search_path = ''
as $$
    select 'flux state history ' || flux.shell_word(flux.short_table(target)) || ' --id ' || flux.shell_word(
        case
            when (select count(*) from jsonb_object_keys(row_key)) = 1
                then (select part.value from jsonb_each_text(row_key) as part)
            else flux.key_text(row_key)
        end
    )
$$;

comment on function flux.history_command(text, jsonb) is
    'The command that shows every change of a row; null for a row without a key.';
