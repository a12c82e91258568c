create or replace function flux.encoded_key(target regclass, source text)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select case
        when flux.key_columns(target) is null then 'null::jsonb'
        else flux.encoded_row(target, source, flux.key_columns(target))
    end
$$;

comment on function flux.encoded_key(regclass, text) is
    'SQL that turns a row into its key as a mutation keeps it; null for a table without one.';
