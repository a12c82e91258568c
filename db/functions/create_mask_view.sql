create or replace function flux.create_mask_view(target regclass, role text, masks jsonb)
    returns void
    language plpgsql
    volatile
as $$
declare
    member constant text := 'flux_role_' || role;
    owner  constant text := 'flux_mask_' || role;
    name   text;
    view   text;
    listed text;
    rights record;
    masked record;
begin
    select class.relname, pg_catalog.format('%I.%I', member, class.relname)
    into name, view
    from pg_catalog.pg_class as class
    where class.oid = target;

    if pg_catalog.to_regnamespace(member) is null then
        execute pg_catalog.format('create schema %I', member);
        execute pg_catalog.format(
            'comment on schema %I is %L',
            member, 'Made by Flux: what a role reads in place of tables with masked columns.'
        );
        execute pg_catalog.format('grant usage on schema %I to %1$I, %I', member, owner);
        execute pg_catalog.format('grant create on schema %I to %I', member, owner);
    end if;

    if pg_catalog.to_regclass(view) is not null then
        raise exception 'the role % has masks on two tables called %', role, name using
            errcode = 'XF441',
            hint = 'Mask one of them in a view of your own.';
    end if;

    perform flux.check_expression(
        target,
        pg_catalog.format(
            E'coalesce((%s\n), null::%s)', mask.value,
            flux.base_type(attribute.atttypid)
        )
    )
    from pg_catalog.jsonb_each_text(masks) as mask
    join pg_catalog.pg_attribute as attribute on attribute.attrelid = target and attribute.attname = mask.key;

    -- What the role may read or write, in the table's order.
    select
        pg_catalog.string_agg(
            case
                when mask.value is null then pg_catalog.quote_ident(attribute.attname)
                else pg_catalog.format(
                    E'(%s\n)::%s as %I', mask.value,
                    flux.base_type(attribute.atttypid), attribute.attname
                )
            end, ', ' order by attribute.attnum
        )
    into listed
    from pg_catalog.pg_attribute as attribute
    left join pg_catalog.jsonb_each_text(masks) as mask on mask.key = attribute.attname
    where attribute.attrelid = target
        and attribute.attnum > 0
        and not attribute.attisdropped
        and (
            mask.value is not null
            or pg_catalog.has_column_privilege(member, target, attribute.attnum, 'select, insert, update')
        );

    execute pg_catalog.format('create view %s with (security_barrier) as select %s from %s', view, listed, target);
    execute pg_catalog.format('comment on view %s is %L', view, 'Made by Flux from db/policies.toml.');

    for masked in select mask.key, mask.value from pg_catalog.jsonb_each_text(masks) as mask
    loop
        execute pg_catalog.format(
            'comment on column %s.%I is %L',
            view, masked.key, pg_catalog.regexp_replace(masked.value, '\(select flux\.claim\((.*?)\)\)', 'claim(\1)', 'g')
        );
    end loop;

    execute pg_catalog.format('alter view %s owner to %I', view, owner);
    execute pg_catalog.format('grant usage on schema %s to %I', class.relnamespace::regnamespace, owner)
    from pg_catalog.pg_class as class
    where class.oid = target;

    -- The view reads the table as its owner, who is bound by the policies of the role and may read what it masks.
    for rights in
        select
            operation.name as operation,
            pg_catalog.string_agg(pg_catalog.quote_ident(attribute.attname), ', ') as columns
        from pg_catalog.unnest(array['select', 'insert', 'update']) as operation (name)
        join pg_catalog.pg_attribute as attribute on attribute.attrelid = target
        where attribute.attnum > 0
            and not attribute.attisdropped
            and (
                operation.name = 'select' and masks ? attribute.attname
                or not masks ? attribute.attname
                    and pg_catalog.has_column_privilege(member, target, attribute.attnum, operation.name)
            )
        group by operation.name
    loop
        execute pg_catalog.format('grant %s (%s) on %s to %I', rights.operation, rights.columns, view, member);
    end loop;

    if pg_catalog.has_table_privilege(member, target, 'delete') then
        execute pg_catalog.format('grant delete on %s to %I', view, member);
    end if;

    execute pg_catalog.format('grant select on %s to %I', target, owner);
end
$$;

comment on function flux.create_mask_view(regclass, text, jsonb) is
    'Makes what a role reads in place of a table of which it may not read every column as it is; its writes go through it as well.';

revoke all on function flux.create_mask_view(regclass, text, jsonb) from public;
