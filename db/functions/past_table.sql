create or replace function flux.past_table(
    target regclass, taken pg_snapshot, moment timestamptz, soon_after timestamptz
)
    returns setof jsonb
    language plpgsql
    stable
    set search_path = ''
    set jit = off
as $$
declare
    root regclass := flux.require_past(target);
    name text := flux.logical_name(root);
begin
    if exists (
        select
        from flux.mutations_since(name, taken, moment, soon_after) as mutation
        where mutation.operation = 'TRUNCATE'
            and mutation.old_values is null
    ) then
        raise exception '% was truncated since, and its rows could not be recorded', name using errcode = 'XF803';
    end if;

    if flux.key_columns(root) is null then
        return query select * from flux.past_rows_without_key(root, taken, moment, soon_after);
        return;
    end if;

    return query
    with steps as materialized (
        select *
        from flux.undo_steps(name, taken, moment, soon_after)
    ),

    whole as (
        select distinct on (row_key) row_key, id, before
        from steps
        where is_whole
        order by row_key, id
    ),

    old_parts as (
        select step.row_key, jsonb_object_agg(part.key, part.value order by step.id desc) as content
        from steps as step
        left join whole on whole.row_key = step.row_key
        cross join jsonb_each(step.before) as part
        where not step.is_whole
            and (whole.id is null or step.id < whole.id)
        group by step.row_key
    )

    select case when whole.row_key is null then present.content else whole.before end || coalesce(old_parts.content, '{}')
    from flux.present_rows(root) as present
    full join whole on whole.row_key = present.row_key
    left join old_parts on old_parts.row_key = coalesce(present.row_key, whole.row_key)
    where whole.row_key is null
        or whole.before is not null;
end
$$;

comment on function flux.past_table(regclass, pg_snapshot, timestamptz, timestamptz) is
    'The rows of a table with everything undone that a snapshot does not show, or that came after a moment.';
