create or replace function flux.activate_deployment(
    wanted    integer,
    how       text,
    who       text,
    why       text default null
)
    returns integer
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    current_one flux.activations;
begin
    lock table flux.activations in share row exclusive mode;
    select * into current_one from flux.activations as activation order by activation.id desc limit 1;

    if current_one.version is distinct from wanted then
        insert into flux.activations (version, kind, previous_id, activated_by, note)
        values (
            wanted,
            how,
            case how
                when 'rollback' then flux.activation_before(current_one.id, wanted)
                else current_one.id
            end,
            who,
            why
        );
        perform pg_notify('flux_deployments', wanted::text);
    end if;

    return current_one.version;
end
$$;

comment on function flux.activate_deployment(integer, text, text, text) is
    'Makes a version the one to run, and tells all who listen when that commits; returns the version before it.';

revoke all on function flux.activate_deployment(integer, text, text, text) from public;
