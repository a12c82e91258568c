create or replace function flux.current_span_id()
    returns integer
    language sql
    stable
as $$
    select nullif(pg_catalog.current_setting('flux.span_id', true), '')::pg_catalog.int4
$$;

comment on function flux.current_span_id() is
    'The step of the request that is under way; null outside Flux. Has no settings of its own, so that callers inline it.';
