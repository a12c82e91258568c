create or replace function flux.encoded_row(target regclass, source text, only_columns text[] default null)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    with members as (
        select
            stored.place,
            -- A function takes at most 100 arguments, so at most 50 columns go into one object.
            (row_number() over (order by stored.place) - 1) / 50 as part,
            format(
                '%L, %s',
                stored.name,
                flux.encoded_value(
                    format('%s.%I', source, stored.name), stored.type, stored.path, flux.setting_names('redact')
                )
            ) as member
        from flux.stored_columns(target) as stored
        where only_columns is null
            or stored.name = any (only_columns)
    ),

    parts as (
        select
            part,
            format('jsonb_build_object(%s)', string_agg(member, ', ' order by place)) as object
        from members
        group by part
    )

    select coalesce(string_agg(object, ' || ' order by part), '''{}''::jsonb')
    from parts
$$;

comment on function flux.encoded_row(regclass, text, text[]) is
    'SQL that turns a row into what a mutation keeps of it: one JSON object of all stored columns, or of those named.';
