create or replace function flux.capture(
    relation      regclass,
    operation     text,
    old_row       anyelement,
    new_row       anyelement,
    out row_key       jsonb,
    out previous_key  jsonb,
    out old_values    jsonb,
    out new_values    jsonb
)
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    key_names text[] := flux.key_columns(relation);
    changed   text[];
begin
    if operation = 'UPDATE' and old_row *= new_row then
        return;
    end if;

    old_values := flux.captured_row(relation, old_row);
    new_values := flux.captured_row(relation, new_row);
    select jsonb_object_agg(name, coalesce(new_values, old_values) -> name) into row_key from unnest(key_names) as name;

    if operation <> 'UPDATE' or key_names is null then
        return;
    end if;

    -- Compared as text: to jsonb 1.10 equals 1.1.
    select array_agg(name)
    into changed
    from jsonb_object_keys(new_values) as name
    where new_values ->> name is distinct from old_values ->> name;

    new_values := (select coalesce(jsonb_object_agg(name, new_values -> name), '{}') from unnest(changed) as name);

    if changed && key_names then
        previous_key := (select jsonb_object_agg(name, old_values -> name) from unnest(key_names) as name);
    else
        old_values := (select coalesce(jsonb_object_agg(name, old_values -> name), '{}') from unnest(changed) as name);
    end if;
end
$$;

comment on function flux.capture(regclass, text, anyelement, anyelement) is
    'What a recorder keeps of a write, for any shape of row: slow, for the writes between a change of a table and of its recorder.';
