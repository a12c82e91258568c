create or replace function flux.create_recorder_function(target regclass, existing oid)
    returns regproc
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    name text := format('flux.record_%s', target::oid);
begin
    if existing is not null then
        name := existing::regproc;
    elsif to_regproc(name) is not null then
        -- Made for another table with this number, in the database that this one was restored from.
        name := format('%s_%s', name, left(md5(random()::text), 8));
    end if;

    -- The settings keep the text of values from depending on the session; with fewer digits a float would lose some.
    execute format(
        $function$
        create or replace function %s()
            returns trigger
            language plpgsql
            volatile
            security definer
            set search_path = ''
            set timezone = 'UTC'
            set datestyle = 'ISO, MDY'
            set intervalstyle = 'postgres'
            set extra_float_digits = 1
            set bytea_output = 'hex'
            set lc_monetary = 'C'
        as %L
        $function$,
        name, flux.recorder_source(target)
    );
    execute format(
        'comment on function %s() is %L',
        name, format('Recorder of %s, made by flux.track().', flux.logical_name(target))
    );
    execute format('revoke all on function %s() from public', name);
    return name::regproc;
end
$$;

comment on function flux.create_recorder_function(regclass, oid) is
    'Makes the trigger function of a table''s recorder, or renews the one it has.';

revoke all on function flux.create_recorder_function(regclass, oid) from public;
