-- The schema and the two roles. Roles belong to the server, not to the database, so they may exist already.
create schema flux;

comment on schema flux is
    'The record of every execution: requests, spans, mutations, and the functions and views that answer questions of them.';

do $roles$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'flux_app') then
        create role flux_app nologin;
    end if;

    if not exists (select from pg_catalog.pg_roles where rolname = 'flux_reader') then
        create role flux_reader nologin;
    end if;

    -- The gateway takes the role flux_app for user code; a superuser may do so without being a member.
    if not pg_catalog.pg_has_role(current_user, 'flux_app', 'member') then
        execute pg_catalog.format('grant flux_app to %I', current_user);
    end if;
end
$roles$;

grant usage on schema flux to flux_app, flux_reader;
