create or replace function flux.row_state(target text, row_key jsonb, present jsonb)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    with last_write as (
        select mutation.*,
            coalesce('req:' || left(mutation.request_id::text, 8), mutation.actor, 'an unknown writer') as writer
        from flux.row_mutations(target, row_state.row_key, last_life => true) as mutation
        where not mutation.rolled_back
        order by mutation.id desc
        limit 1
    )

    select case
        when present <> '{}' then null
        when last_write.operation = 'DELETE' then format('deleted by %s', last_write.writer)
        when last_write.operation = 'TRUNCATE' then format('removed by a truncate of %s', last_write.writer)
        when last_write.previous_key = row_state.row_key and last_write.row_key <> row_state.row_key
            then format('now %s, changed by %s', flux.key_text(last_write.row_key), last_write.writer)
        when present is null then null
        when last_write.id is null then 'never seen'
        else 'not in the table now, and no recorded write says why'
    end
    from (select) as always
    left join last_write on true
$$;

comment on function flux.row_state(text, jsonb, jsonb) is
    'Why a row is not there under a key: deleted, moved to another key, never seen; null when it is there.';
