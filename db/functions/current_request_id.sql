create or replace function flux.current_request_id()
    returns uuid
    language sql
    stable
as $$
    select nullif(pg_catalog.current_setting('flux.request_id', true), '')::pg_catalog.uuid
$$;

comment on function flux.current_request_id() is
    'The request this transaction belongs to; null outside Flux. Has no settings of its own, so that callers inline it.';
