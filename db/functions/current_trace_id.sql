create or replace function flux.current_trace_id()
    returns text
    language sql
    stable
as $$
    select coalesce(
        nullif(pg_catalog.current_setting('flux.trace_id', true), ''),
        pg_catalog.replace(nullif(pg_catalog.current_setting('flux.request_id', true), ''), '-', '')
    )
$$;

comment on function flux.current_trace_id() is
    'W3C trace id of the request this transaction belongs to, its own id where none was given; null outside Flux. Has no settings of its own, so that callers inline it.';
