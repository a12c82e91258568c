create or replace function flux.setting_number(setting text, otherwise bigint)
    returns bigint
    language sql
    stable
    set search_path = ''
as $$
    select coalesce((select value::bigint from flux.settings where name = setting), otherwise)
$$;

comment on function flux.setting_number(text, bigint) is
    'A setting that is a number; the second argument where flux.toml does not say.';
