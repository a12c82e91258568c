create or replace function flux.recorder_source(target regclass)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select format(
        $recorder$
declare
    request      uuid := flux.current_request_id();
    depth        smallint := nullif(pg_trigger_depth(), 1);
    row_key      jsonb;
    previous_key jsonb;
    old_values   jsonb;
    new_values   jsonb;
begin
    if pg_partition_root(tg_relid) is distinct from %1$s
        and flux.recorder_steps_aside(tg_relid, tg_argv[0])
    then
        return null;
    end if;

    begin
        -- Is the table still of the shape this was made for?
        if has_column_privilege(%2$s, %3$s::smallint, 'select') is not null
            %4$s
        then
            raise undefined_column;
        end if;

        if tg_op = 'UPDATE' then
            if old *= new then
                return null;
            end if;
%5$s
        elsif tg_op = 'INSERT' then
            row_key := %6$s;
            new_values := %7$s;
        else
            row_key := %8$s;
            old_values := %9$s;
        end if;
    exception
        -- The class of undefined_column and datatype_mismatch.
        when syntax_error_or_access_rule_violation then
            select captured.*
            into row_key, previous_key, old_values, new_values
            from flux.capture(tg_relid, tg_op, old, new) as captured;

            if tg_op = 'UPDATE' and new_values is null then
                return null;
            end if;
    end;

    insert into flux.state_mutations (
        request_id, span_id, table_name, operation, row_key, previous_key,
        new_values, old_values, actor, trigger_depth
    )
    values (
        request, case when request is not null then flux.current_span_id() end, tg_argv[0], tg_op, row_key, previous_key,
        new_values, old_values, case when request is null then flux.current_actor() end, depth
    );

    -- The row has been written again already, by a trigger of this statement's.
    if new.xmax <> '0' then
        perform flux.keep_order(tg_argv[0], row_key, depth);
    end if;

    return null;
end
$recorder$,
        case class.relkind when 'p' then format('%L::oid', class.oid) else 'null' end,
        case class.relkind when 'p' then format('%L::oid', class.oid) else 'tg_relid' end,
        class.relnatts + 1,
        (
            select string_agg(
                format('or pg_typeof(new.%I) <> %L::oid', stored.name, stored.type),
                E'\n            ' order by stored.place
            )
            from flux.stored_columns(target) as stored
        ),
        flux.recorder_update_source(target),
        flux.encoded_key(target, 'new'),
        flux.encoded_row(target, 'new'),
        flux.encoded_key(target, 'old'),
        flux.encoded_row(target, 'old')
    )
    from pg_class as class
    where class.oid = target
$$;

comment on function flux.recorder_source(regclass) is
    'The body of a table''s recorder: typed for its columns, because looking them up row by row costs more than the rest.';
