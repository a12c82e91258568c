create or replace function flux.short_id(request uuid)
    returns text
    language sql
    immutable
    set search_path = ''
as $$
    select 'req:' || left(request::text, 8)
$$;

comment on function flux.short_id(uuid) is
    'The form of a request id that people see: req:4f9a3b2c.';
