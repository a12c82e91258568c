create or replace function flux.past_query(
    target regclass, taken pg_snapshot, moment timestamptz, soon_after timestamptz,
    only_keys jsonb default null, in_order boolean default false
)
    returns text
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    touches text := format(
        'select mutation.* from flux.mutations_since(%L, %L, %L, %L) as mutation',
        flux.logical_name(target), taken, moment, soon_after
    );
    source  text := case when (select relkind from pg_class where oid = target) = 'p' then '' else 'only ' end || target;
begin
    if only_keys is null
        and not exists (
            select from flux.mutations_since(flux.logical_name(target), taken, moment, soon_after)
        )
    then
        return format(
            'select %s from %s as present',
            (select string_agg(format('present.%I', name), ', ' order by place) from flux.past_columns(target)),
            source
        );
    end if;

    if only_keys is not null then
        -- By the index on keys, however much else was written since.
        touches := format(
            '%1$s where mutation.row_key = any (%2$L::jsonb[]) union %1$s where mutation.previous_key = any (%2$L::jsonb[])',
            touches, array(select jsonb_array_elements(only_keys))
        );
    end if;

    if flux.key_columns(target) is null then
        return flux.past_query_without_key(target, touches, source);
    end if;

    return flux.past_query_with_key(target, touches, source, only_keys, in_order);
end
$$;

comment on function flux.past_query(regclass, pg_snapshot, timestamptz, timestamptz, jsonb, boolean) is
    'SQL that gives a table''s rows as of the past, with their types, for COPY: all of them, or those whose keys are in a JSON array; in_order as they were last written, as far as the record tells.';
