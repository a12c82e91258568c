create or replace function flux.claim(name text)
    returns text
    language sql
    stable
as $$
    select nullif(pg_catalog.current_setting('flux.claims', true), '')::pg_catalog.jsonb operator(pg_catalog.->>) name
$$;

comment on function flux.claim(text) is
    'What the caller''s credentials say under this name, as text; null when they say nothing. Has no settings of its own, so that callers inline it.';
