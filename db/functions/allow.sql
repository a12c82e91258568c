create or replace function flux.allow(
    target regclass, role text, operation text, columns text[], masked text[], row_condition text, row_check text
)
    returns void
    language plpgsql
    volatile
as $$
declare
    member constant text := 'flux_role_' || role;
    name   constant text := pg_catalog.format('flux_%s_%s', role, operation);
    kind   "char";
    schema regnamespace;
    listed text;
    sequence regclass;
begin
    select class.relkind, class.relnamespace
    into kind, schema
    from pg_catalog.pg_class as class
    where class.oid = target;

    if masked <> '{}' then
        columns := array(
            select attribute.attname
            from pg_catalog.pg_attribute as attribute
            where attribute.attrelid = target
                and attribute.attnum > 0
                and not attribute.attisdropped
                and (columns is null or attribute.attname = any (columns))
                and attribute.attname <> all (masked)
        );
    end if;

    select pg_catalog.string_agg(pg_catalog.quote_ident(listed_name), ', ')
    into listed
    from pg_catalog.unnest(columns) as listed_name;

    execute pg_catalog.format('grant usage on schema %s to %I', schema, member);

    if columns is null or listed is not null then
        execute pg_catalog.format('grant %s %s on %s to %I', operation, '(' || listed || ')', target, member);
    end if;

    if operation = 'insert' then
        for sequence in
            select distinct dependency.refobjid
            from pg_catalog.pg_attrdef as defaults
            join pg_catalog.pg_depend as dependency
                on dependency.classid = 'pg_catalog.pg_attrdef'::regclass
                and dependency.objid = defaults.oid
                and dependency.refclassid = 'pg_catalog.pg_class'::regclass
            join pg_catalog.pg_class as class on class.oid = dependency.refobjid
            where defaults.adrelid = target
                and class.relkind = 'S'
        loop
            execute pg_catalog.format('grant usage on sequence %s to %I', sequence, member);
        end loop;
    end if;

    if kind not in ('r', 'p') then
        if row_condition is not null or row_check is not null or masked <> '{}' then
            raise exception '% is not a table: only its columns can be chosen', target using
                errcode = 'XF441',
                hint = 'A view with security_invoker shows each role the rows that the policies of its tables let it see.';
        end if;

        return;
    end if;

    perform flux.secure(target);
    perform flux.check_expression(target, expression)
    from pg_catalog.unnest(array[row_condition, row_check]) as expression
    where expression is not null;

    execute pg_catalog.format(
        'create policy %I on %s for %s to %I %s %s',
        name, target, operation, member,
        case when operation <> 'insert' then pg_catalog.format(E'using (%s\n)', coalesce(row_condition, 'true')) end,
        case
            when operation in ('insert', 'update')
                then pg_catalog.format(E'with check (%s\n)', coalesce(row_check, 'true'))
        end
    );
    execute pg_catalog.format('comment on policy %I on %s is %L', name, target, 'Made by Flux from db/policies.toml.');
end
$$;

comment on function flux.allow(regclass, text, text, text[], text[], text, text) is
    'Lets a role do one operation with a table: grants on its columns (all where null), without those that are masked, and a policy on its rows.';

revoke all on function flux.allow(regclass, text, text, text[], text[], text, text) from public;
