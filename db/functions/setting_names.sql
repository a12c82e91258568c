create or replace function flux.setting_names(setting text)
    returns text[]
    language sql
    stable
    set search_path = ''
as $$
    select coalesce(array_agg(lower(listed)), '{}')
    from flux.settings, jsonb_array_elements_text(settings.value) as listed
    where settings.name = setting
$$;

comment on function flux.setting_names(text) is
    'The names a setting lists, in lower case; empty when it lists none.';
