create or replace function flux.outside_effects(called text[], written text[])
    returns table (
        function  text,
        reason    text,
        via       text
    )
    language sql
    stable
    set search_path = ''
as $$
    select
        reached.function::regproc::text,
        case
            when called.pronamespace = 'pg_catalog'::regnamespace then 'acts at once, and a rollback does not undo it'
            when extension.extname in ('dblink', 'http', 'pg_net', 'plsh', 'file_fdw', 'adminpack', 'pg_cron')
                then format('reaches outside the database, by the extension %s', extension.extname)
            when not language.lanpltrusted and language.lanname not in ('c', 'internal')
                then format('is written in %s, which may reach outside the database', language.lanname)
            else format('is compiled code of %s, whose effects nobody can take back', coalesce(extension.extname, 'a library'))
        end,
        reached.via
    from flux.functions_reached(called, written) as reached
    join pg_proc as called on called.oid = reached.function
    join pg_language as language on language.oid = called.prolang
    left join pg_depend as membership
        on membership.classid = 'pg_proc'::regclass
        and membership.objid = called.oid
        and membership.deptype = 'e'
    left join pg_extension as extension on extension.oid = membership.refobjid
    where called.provolatile = 'v'
        and case
            when called.pronamespace = 'pg_catalog'::regnamespace then called.proname ~ concat(
                '^(setval|lo_export|pg_(terminate|cancel)_backend|pg_(reload_conf|rotate_logfile|promote|switch_wal)',
                '|pg_create_restore_point|pg_(backup|wal_replay|log|logical|stat_reset)_|pg_stat_reset',
                '|pg_\w*replication_(slot|origin)\w*)'
            )
            else not language.lanpltrusted
                and coalesce(extension.extname, '') <> all ('{pgcrypto,uuid-ossp,pg_trgm,hypopg,vector,postgis}')
        end
    order by reached.via <> 'the statement', 1
$$;

comment on function flux.outside_effects(text[], text[]) is
    'Functions that a statement may come to call whose effects a rollback does not take back, and why: such a statement is not tried.';

revoke all on function flux.outside_effects(text[], text[]) from public;
