create or replace function flux.current_actor()
    returns text
    language sql
    stable
as $$
    select pg_catalog.concat_ws('@', nullif(pg_catalog.current_setting('application_name'), ''), session_user)
$$;

comment on function flux.current_actor() is
    'Who writes from outside Flux: application and database user, as in psql@app. Has no settings of its own, so that callers inline it.';
