create or replace function flux.functions_reached(called text[], written text[])
    returns table (
        function  oid,
        via       text
    )
    language sql
    stable
    set search_path = ''
as $$
    with recursive tables as (
        select to_regclass(name)::oid as oid
        from unnest(written) as name
        where to_regclass(name) is not null

        union

        -- A row that is deleted or changed takes the rows along that refer to it.
        select referring.conrelid
        from tables
        join pg_constraint as referring
            on referring.confrelid = tables.oid
            and referring.contype = 'f'
            and (referring.confdeltype in ('c', 'n', 'd') or referring.confupdtype in ('c', 'n', 'd'))
    ),

    reached (oid, via) as (
        select named.oid, 'the statement'
        from pg_proc as named
        where named.proname = any (called)

        union

        select trigger.tgfoid, format('the trigger %I on %s', trigger.tgname, trigger.tgrelid::regclass)
        from tables
        join pg_trigger as trigger on trigger.tgrelid = tables.oid
        where not trigger.tgisinternal
            and trigger.tgenabled <> 'D'

        union

        select dependency.refobjid, 'a default of ' || tables.oid::regclass
        from tables
        join pg_attrdef as defaults on defaults.adrelid = tables.oid
        join pg_depend as dependency
            on dependency.classid = 'pg_attrdef'::regclass
            and dependency.objid = defaults.oid
            and dependency.refclassid = 'pg_proc'::regclass

        union

        -- Read by rule: a name before a parenthesis, wherever it stands in the body.
        select callee.oid, caller.oid::regproc::text
        from reached
        join pg_proc as caller on caller.oid = reached.oid
        join pg_language as language on language.oid = caller.prolang and language.lanname in ('sql', 'plpgsql')
        cross join lateral regexp_matches(
            concat(caller.prosrc, pg_get_function_sqlbody(caller.oid)), '("[^"]+"|[a-zA-Z_][\w$]*)\s*\(', 'g'
        ) as word
        join pg_proc as callee
            on callee.proname = case when word[1] like '"%' then btrim(word[1], '"') else lower(word[1]) end
        where caller.pronamespace <> 'flux'::regnamespace
    )

    select distinct on (reached.oid) reached.oid, reached.via
    from reached
    order by reached.oid, reached.via
$$;

comment on function flux.functions_reached(text[], text[]) is
    'Functions that a statement may come to call: by name, by triggers and defaults of the tables it writes, and what the bodies of these name.';

revoke all on function flux.functions_reached(text[], text[]) from public;
