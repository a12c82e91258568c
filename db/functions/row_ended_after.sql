create or replace function flux.row_ended_after(target text, row_key jsonb, after_id bigint)
    returns bigint
    language sql
    stable
    set search_path = ''
as $$
    select coalesce(min(ending.id), 9223372036854775807)
    from (
        select mutation.id
        from flux.state_mutations as mutation
        where mutation.table_name = target
            and mutation.row_key = row_ended_after.row_key
            and mutation.operation in ('DELETE', 'TRUNCATE')
            and mutation.id > after_id
            and not mutation.rolled_back

        union all

        select mutation.id
        from flux.state_mutations as mutation
        where mutation.table_name = target
            and mutation.previous_key = row_ended_after.row_key
            and mutation.row_key <> row_ended_after.row_key
            and mutation.id > after_id
            and not mutation.rolled_back
    ) as ending
$$;

comment on function flux.row_ended_after(text, jsonb, bigint) is
    'The first write after another that left no row under a key; the largest number when none did.';
