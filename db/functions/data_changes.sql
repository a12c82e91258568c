create or replace function flux.data_changes(request uuid, most integer default 100)
    returns table (
        id            bigint,
        table_name    text,
        row_key       jsonb,
        operation     text,
        change        text,
        rolled_back   boolean,
        span_id       integer,
        recorded_at   timestamptz,
        new_values    jsonb,
        old_values    jsonb,
        writes        bigint
    )
    language sql
    stable
    set search_path = ''
as $$
    select kept.id, kept.table_name, kept.row_key, kept.operation,
        flux.change_text(mutation), kept.rolled_back, kept.span_id, kept.recorded_at,
        kept.new_values, kept.old_values, kept.writes
    from (
        select written.*, count(*) over (partition by written.rolled_back) as writes,
            row_number() over (partition by written.rolled_back order by written.id) as place
        from flux.request_mutations(request) as written
    ) as kept
    join flux.request_mutations(request) as mutation
        on mutation.id = kept.id
        and mutation.rolled_back = kept.rolled_back
    where kept.place <= most
    order by kept.rolled_back, kept.id
$$;

comment on function flux.data_changes(uuid, integer) is
    'What a request wrote: committed first, then what was rolled back; writes counts all of a kind where more were made than are listed.';
