create or replace function flux.key_text(row_key jsonb)
    returns text
    language sql
    immutable
    set search_path = ''
as $$
    select string_agg(part.key || '=' || flux.value_text(part.value), ',' order by part.position)
    from jsonb_each(row_key) with ordinality as part (key, value, position);
$$;

comment on function flux.key_text(jsonb) is
    'A row key as `flux state history --id` takes it: id=42, or a=1,b=2.';
