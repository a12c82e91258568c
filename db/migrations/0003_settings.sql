-- What triggers and event triggers need to know, and what the installer has done. That a table is tracked, and in which
-- shape, is said by its triggers and by the source of its recorder: there is no second list to drift from them.

create table flux.settings (
    name   text  primary key,
    value  jsonb not null
);

comment on table flux.settings is
    'Settings the database itself needs: tracked schemas, excluded tables, redacted columns. Written by flux db migrate from flux.toml.';
comment on column flux.settings.name is 'schemas, exclude or redact.';
comment on column flux.settings.value is 'A JSON array of names.';

create table flux.tracking_choices (
    table_name  text        primary key collate "C",
    tracked     boolean     not null,
    chosen_at   timestamptz not null default now()
);

comment on table flux.tracking_choices is
    'Tables tracked or left alone by hand, with flux db track and flux db untrack; stronger than the settings.';
comment on column flux.tracking_choices.table_name is 'Schema and table, quoted where needed.';
comment on column flux.tracking_choices.tracked is 'True to track it though it is excluded, false to leave it alone.';
comment on column flux.tracking_choices.chosen_at is 'When that was chosen.';

create table flux.installed_files (
    scope         text        not null,
    path          text        not null,
    checksum      text        not null,
    definition    text,
    installed_at  timestamptz not null default now(),
    primary key (scope, path),
    constraint scope_is_known check (scope in ('flux', 'project'))
);

comment on table flux.installed_files is 'Which SQL files this database holds, so that what is pending or drifted can be told.';
comment on column flux.installed_files.scope is 'flux for Flux''s own files, project for the user''s migrations.';
comment on column flux.installed_files.path is 'Path below db/.';
comment on column flux.installed_files.checksum is 'SHA-256 of the file.';
comment on column flux.installed_files.definition is 'SHA-256 of the object as Postgres prints it, for functions, triggers and views.';
comment on column flux.installed_files.installed_at is 'When it was last installed.';

grant select on flux.settings, flux.tracking_choices, flux.installed_files to flux_reader;
