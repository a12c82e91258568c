create or replace function flux.grant_access(target regnamespace)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    relation regclass;
    rights   text;
begin
    -- Asked first, because a grant writes the catalog even when it changes nothing.
    if not has_schema_privilege('flux_app', target, 'usage')
        and has_schema_privilege(target, 'usage with grant option')
    then
        execute format('grant usage on schema %s to flux_app', target);
    end if;

    for relation, rights in
        select
            class.oid,
            case class.relkind when 'S' then 'usage, select on sequence' else 'select, insert, update, delete on' end
        from pg_class as class
        where class.relnamespace = target
            and class.relpersistence <> 't'
            and pg_has_role(class.relowner, 'usage')
            and case
                when class.relkind = 'S' then not has_sequence_privilege('flux_app', class.oid, 'usage')
                when class.relkind in ('r', 'p', 'v', 'm', 'f') then
                    not has_table_privilege('flux_app', class.oid, 'select')
                    or not has_table_privilege('flux_app', class.oid, 'insert')
                    or not has_table_privilege('flux_app', class.oid, 'update')
                    or not has_table_privilege('flux_app', class.oid, 'delete')
                else false
            end
    loop
        execute format('grant %s %s to flux_app', rights, relation);
    end loop;

    if not exists (
        select
        from pg_default_acl
        where defaclrole = current_user::regrole
            and defaclnamespace = target
            and defaclacl::text like '%flux\_app=%'
    ) then
        execute format(
            'alter default privileges in schema %s grant select, insert, update, delete on tables to flux_app', target
        );
        execute format('alter default privileges in schema %s grant usage, select on sequences to flux_app', target);
    end if;
end
$$;

comment on function flux.grant_access(regnamespace) is
    'Lets functions use a schema with its tables, views and sequences, those to come too, as far as this role may grant it.';

revoke all on function flux.grant_access(regnamespace) from public;
