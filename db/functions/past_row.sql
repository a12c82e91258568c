create or replace function flux.past_row(
    target regclass, key jsonb, taken pg_snapshot, moment timestamptz, soon_after timestamptz
)
    returns jsonb
    language plpgsql
    stable
    set search_path = ''
    set jit = off
as $$
declare
    root      regclass := flux.require_past(target);
    name      text := flux.logical_name(root);
    normal    jsonb := flux.normal_key(root, key);
    whole_id  bigint;
    base      jsonb;
    old_parts jsonb;
begin
    select step.id, step.before
    into whole_id, base
    from flux.undo_steps(name, taken, moment, soon_after) as step
    where step.row_key = normal
        and step.is_whole
    order by step.id
    limit 1;

    if not found then
        select present.content into base from flux.present_rows(root, normal) as present;
    end if;

    if exists (
        select
        from flux.undo_steps(name, taken, moment, soon_after) as step
        where step.row_key is null
            and (whole_id is null or step.id < whole_id)
    ) then
        raise exception '% was truncated since, and its rows could not be recorded', name using errcode = 'XF803';
    end if;

    select jsonb_object_agg(part.key, part.value order by step.id desc)
    into old_parts
    from flux.undo_steps(name, taken, moment, soon_after) as step, jsonb_each(step.before) as part
    where step.row_key = normal
        and not step.is_whole
        and (whole_id is null or step.id < whole_id);

    return base || coalesce(old_parts, '{}');
end
$$;

comment on function flux.past_row(regclass, jsonb, pg_snapshot, timestamptz, timestamptz) is
    'A row with everything undone that a snapshot does not show, or that came after a moment; null when there was none.';
