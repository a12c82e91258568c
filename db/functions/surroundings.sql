create or replace function flux.surroundings(
    called             text[],
    relations          text[],
    out functions      text[],
    out invoker_views  text[]
)
    language sql
    stable
    set search_path = ''
as $$
    select
        -- What is declared immutable reads no tables; compiled code is taken not to.
        array(
            select distinct named.proname::text
            from pg_proc as named
            join pg_language as language on language.oid = named.prolang
            where named.proname = any (called)
                and named.pronamespace <> 'pg_catalog'::regnamespace
                and named.provolatile <> 'i'
                and language.lanname not in ('c', 'internal')
        ),
        array(
            select name
            from unnest(relations) as name
            join pg_class as class on class.oid = to_regclass(name)
            where class.relkind = 'v'
                and class.reloptions && '{security_invoker=true,security_invoker=on,security_invoker=1,security_invoker=yes}'
        )
$$;

comment on function flux.surroundings(text[], text[]) is
    'Of the functions and relations that a statement names: functions that may read tables by themselves, and views that read with the rights of their caller.';

revoke all on function flux.surroundings(text[], text[]) from public;
