create or replace function flux.redacted_since(
    tables text[], taken pg_snapshot, moment timestamptz, soon_after timestamptz
)
    returns setof text
    language sql
    stable
    set search_path = ''
as $$
    select named.table_name
    from unnest(tables) as named (table_name)
    -- Asked once: where nothing is redacted, nothing is looked through.
    where (select flux.setting_names('redact') <> '{}')
        and exists (
            select
            from flux.mutations_since(named.table_name, taken, moment, soon_after) as mutation
            where mutation.old_values::text like '%"[redacted]"%'
        )
$$;

comment on function flux.redacted_since(text[], pg_snapshot, timestamptz, timestamptz) is
    'Tables of which something was redacted in what was written since a snapshot or a moment.';
