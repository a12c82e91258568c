create or replace function flux.split_key(names text[], given text)
    returns table (
        name   text,
        given  text
    )
    language sql
    immutable
    set search_path = ''
as $$
    with starts as (  -- where in the text each `name=` stands: at its begin or after a comma
        select named.name, length(found.before) as begins, length(found.before) + length(found.label) as ends
        from unnest(names) as named (name)
        cross join lateral (
            select matched[1] as before, matched[2] as label
            from regexp_match(
                split_key.given,
                '^(|.*?,\s*)("?' || regexp_replace(named.name, '([^[:alnum:]_])', '\\\1', 'g') || '"?\s*=)'
            ) as matched
        ) as found
        where found.label is not null
    )

    select starts.name,
        rtrim(substr(
            split_key.given, starts.ends + 1,
            coalesce(
                (select min(next.begins) from starts as next where next.begins > starts.begins),
                length(split_key.given) + 1
            ) - starts.ends
        ), ', ')
    from starts

    union all

    -- No name at all: one column takes the text as it is, several take its parts in order.
    select part.name, part.given
    from (
        select names[1] as name, split_key.given as given
        where cardinality(names) = 1
        union all
        select named.name, btrim(split_part(split_key.given, ',', named.position::integer))
        from unnest(names) with ordinality as named (name, position)
        where cardinality(names) > 1
            and cardinality(string_to_array(split_key.given, ',')) = cardinality(names)
    ) as part
    where not exists (select from starts);
$$;

comment on function flux.split_key(text[], text) is
    'The parts of a key as people write it: a=1,b=2, or 1,2, or 42 alone; commas may stand inside a value of a named part.';
