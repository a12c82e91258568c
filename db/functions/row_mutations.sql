create or replace function flux.row_mutations(target text, row_key jsonb, last_life boolean default false)
    returns setof flux.state_mutations
    language sql
    stable
    set search_path = ''
as $$
    -- A segment is a key and the span of mutation numbers in which the row had it: (after_id, until_id].
    with recursive segment (row_key, after_id, until_id) as (
        select
            row_mutations.row_key,
            case when last_life then flux.row_ended_before(target, row_mutations.row_key) else 0 end,
            9223372036854775807

        union

        select step.row_key, step.after_id, step.until_id
        from segment
        cross join lateral (
            -- Back: what the row was called before it took this key, since that name was last free.
            select
                move.previous_key as row_key,
                flux.row_ended_before(target, move.previous_key, move.id) as after_id,
                move.id - 1 as until_id
            from flux.state_mutations as move
            where move.table_name = target
                and move.row_key = segment.row_key
                and move.id > segment.after_id
                and move.id <= segment.until_id
                and move.previous_key <> move.row_key
                and not move.rolled_back

            union all

            -- On: what it was called after it gave this key up, until that name was free again.
            select move.row_key, move.id, flux.row_ended_after(target, move.row_key, move.id)
            from flux.state_mutations as move
            where move.table_name = target
                and move.previous_key = segment.row_key
                and move.id > segment.after_id
                and move.id <= segment.until_id
                and move.previous_key <> move.row_key
                and not move.rolled_back
                and not last_life
        ) as step
    )

    select distinct on (found.id) found.*
    from (
        select written.*
        from segment
        join flux.state_mutations as written
            on written.table_name = target
            and written.row_key = segment.row_key
            and written.id > segment.after_id
            and written.id <= segment.until_id

        union all

        select written.*
        from segment
        join flux.state_mutations as written
            on written.table_name = target
            and written.previous_key = segment.row_key
            and written.id > segment.after_id
            and written.id <= segment.until_id
    ) as found
    order by found.id
$$;

comment on function flux.row_mutations(text, jsonb, boolean) is
    'Every write to a row, in order, under each key it ever had; with last_life, only since the row was last created.';
