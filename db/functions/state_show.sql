create or replace function flux.state_show(
    target text,
    row_key jsonb,
    at timestamptz default null,
    seen_by uuid default null
)
    returns table (
        name   text,
        value  jsonb
    )
    language sql
    stable
    set search_path = ''
as $$
    select part.key, part.value
    from jsonb_each(
        case
            when seen_by is not null then flux.row_seen_by(to_regclass(target), state_show.row_key, seen_by)
            else flux.row_as_of(to_regclass(target), state_show.row_key, flux.recorded_moment(coalesce(state_show.at, now())))
        end
    ) as part
    left join pg_attribute as attribute
        on attribute.attrelid = to_regclass(target)
        and attribute.attname = part.key
    order by attribute.attnum, part.key
$$;

comment on function flux.state_show(text, jsonb, timestamptz, uuid) is
    'A row column by column, as it was committed at a moment or as a request saw it; no rows when there was no such row.';
