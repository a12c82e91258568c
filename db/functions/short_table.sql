create or replace function flux.short_table(target text)
    returns text
    language sql
    immutable
    set search_path = ''
as $$
    select regexp_replace(target, '^public\.', '')
$$;

comment on function flux.short_table(text) is
    'A recorded table name without the schema public, as people write it.';
