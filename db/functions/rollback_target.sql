create or replace function flux.rollback_target()
    returns integer
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    current_one flux.activations;
    target      integer;
begin
    select * into current_one from flux.activations as activation order by activation.id desc limit 1;
    select activation.version
    into target
    from flux.activations as activation
    where activation.id = current_one.previous_id;

    if current_one.id is null then
        raise exception 'nothing was deployed, so there is nothing to roll back' using
            errcode = 'XF703',
            hint = 'Run `flux deploy` in the project.';
    elsif target is null then
        raise exception 'no version ran before v%', current_one.version using
            errcode = 'XF703',
            hint = 'Name one: `flux rollback VERSION`; `flux deployments` lists them.';
    end if;

    return target;
end
$$;

comment on function flux.rollback_target() is
    'The version that ran before the active one; after a rollback, the one before that. Raises XF703 when there is none.';
