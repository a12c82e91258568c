create or replace function flux.value_text(value jsonb)
    returns text
    language sql
    immutable
    set search_path = ''
as $$
    select case jsonb_typeof(value)
        when 'null' then 'null'
        when 'string' then case when value #>> '{}' = '' then '''''' else value #>> '{}' end
        else value::text
    end;
$$;

comment on function flux.value_text(jsonb) is
    'A recorded value as people read it: strings bare, the empty string as two quotes, the rest as JSON.';
