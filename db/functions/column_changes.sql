create or replace function flux.column_changes(mutation flux.state_mutations)
    returns table (
        name       text,
        old_value  jsonb,
        new_value  jsonb,
        in_key     boolean
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        names.name,
        (mutation).old_values -> names.name,
        (mutation).new_values -> names.name,
        coalesce((mutation).row_key ? names.name, false)
    from jsonb_object_keys(coalesce((mutation).new_values, (mutation).old_values)) as names (name)
    left join pg_attribute as attribute
        on attribute.attrelid = to_regclass((mutation).table_name)
        and attribute.attname = names.name
        and not attribute.attisdropped
    -- Where whole rows are kept of an update, what did not change is no change. As text: to jsonb 1.10 equals 1.1.
    where (mutation).operation <> 'UPDATE'
        or (mutation).old_values ->> names.name is distinct from (mutation).new_values ->> names.name
        -- A hidden value is kept of an update only where it changed.
        or (mutation).row_key is not null and (mutation).new_values ->> names.name = '[redacted]'
    order by attribute.attnum nulls last, names.name
$$;

comment on function flux.column_changes(flux.state_mutations) is
    'One mutation column by column, in the order of the table''s columns; for an update, only the columns that changed.';
