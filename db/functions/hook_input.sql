create or replace function flux.hook_input(table_name text, operation text, new_row jsonb, old_row jsonb)
    returns jsonb
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    hidden constant text[] := flux.setting_names('redact');
    most   constant bigint := flux.setting_number('payload_limit', 1048576);
    input  jsonb;
begin
    -- A write must not fail of its hook, so what a job cannot hold is left out, and says so.
    if flux.nested_too_deep(jsonb_build_array(new_row, old_row)) then
        new_row := flux.small_members(new_row);
        old_row := flux.small_members(old_row);
    end if;

    if hidden <> '{}' then
        new_row := flux.redacted(new_row, parse_ident(table_name), hidden);
        old_row := flux.redacted(old_row, parse_ident(table_name), hidden);
    end if;

    input := jsonb_build_object(
        'operation', lower(operation), 'table', table_name, 'new', new_row, 'old', old_row
    );

    if octet_length(input::text) > most then
        input := input || jsonb_build_object('new', flux.small_members(new_row), 'old', flux.small_members(old_row));
    end if;

    if octet_length(input::text) > most then
        input := input || '{"new": {"$omitted": {}}, "old": {"$omitted": {}}}';
    end if;

    return input;
end
$$;

comment on function flux.hook_input(text, text, jsonb, jsonb) is
    'What the job of a hook gets: operation, table, and the rows, without redacted columns and within the payload limit.';
