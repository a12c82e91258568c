create or replace function flux.key_in_detail(detail text)
    returns jsonb
    language sql
    immutable
    set search_path = ''
as $$
    -- Key (email)=(a@b.com) already exists. / Key (user_id)=(42) is not present in table "users".
    with parts as (
        select string_to_array(matched[1], ', ') as names, string_to_array(matched[2], ', ') as given, matched[2] as whole
        from regexp_match(detail, '^Key \((.*?)\)=\((.*)\) (?:already|is|conflicts)', 's') as matched
    )

    select case
        when cardinality(parts.names) = 1 then jsonb_build_object(btrim(parts.names[1], '"'), parts.whole)
        when cardinality(parts.names) = cardinality(parts.given)
            then (
                select jsonb_object_agg(btrim(named.name, '"'), named.value)
                from unnest(parts.names, parts.given) as named (name, value)
            )
    end
    from parts
$$;

comment on function flux.key_in_detail(text) is
    'The columns and values that Postgres names in the detail of a constraint violation, as an object of texts; null where they cannot be told apart.';
