create or replace function flux.row_ended_before(target text, row_key jsonb, before_id bigint default null)
    returns bigint
    language sql
    stable
    set search_path = ''
as $$
    with written as (
        select mutation.id, mutation.operation in ('DELETE', 'TRUNCATE') as ends
        from flux.state_mutations as mutation
        where mutation.table_name = target
            and mutation.row_key = row_ended_before.row_key
            and not mutation.rolled_back

        union all

        select mutation.id, true
        from flux.state_mutations as mutation
        where mutation.table_name = target
            and mutation.previous_key = row_ended_before.row_key
            and mutation.row_key <> row_ended_before.row_key
            and not mutation.rolled_back
    )

    select coalesce(max(written.id) filter (where written.ends), 0)
    from written
    where written.id < coalesce(before_id, (select max(last_write.id) from written as last_write))
$$;

comment on function flux.row_ended_before(text, jsonb, bigint) is
    'The last write before another (or before the last of all) that left no row under a key: a delete, or a change of the key; 0 when none did.';
