create or replace function flux.suggest_missing_schema(message text, code text)
    returns table (
        certainty   text,
        suggestion  text,
        about       uuid,
        command     text
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        case when flux.known_table(named.name) is null then 'likely' else 'certain' end,
        case
            when code = '42P01' and to_regclass(flux.known_table(named.name)) is not null
                then format('table %s is there now: it was created after this request', named.name)
            when code = '42P01' then format('there is no table %s. %s', named.name, flux.similar_tables(named.name))
            else 'the code and the tables do not match: a migration is missing, or came too early'
        end,
        null::uuid,
        'flux db status'
    from (select (regexp_match(message, '"([^"]+)"'))[1] as name) as named
$$;

comment on function flux.suggest_missing_schema(text, text) is
    'For a table, column or function that does not exist: whether it does now, and what is like it.';
